/**
 * `<tradewind-slot>` and `<tradewind-price>`: they register themselves, and {@link live} fills them.
 *
 * The content of an element belongs to the page, or to a framework, and is left alone. Tradewind's content is in one
 * separate child, which the element's shadow root shows instead of the others.
 */

/** Instance that can fill elements. */
export interface Filler {
  /** An element was added to the document, or an attribute has changed. */
  changed(element: HTMLElement): void;
  /** An element was removed from the document. */
  gone(element: HTMLElement): void;
  /** Fills all elements, because the previous instance has ended. */
  takeOver(): void;
  /** Reports products that came into view to the instance's listeners. */
  exposed(detail: { slot: string; by: "edge" | "device"; skus: string[] }): void;
}

/** State shared by all copies of the package in a page. Its shape is stable across versions. */
interface Page {
  /** Elements in the document. */
  readonly elements: Set<HTMLElement>;
  /** Loaded instances; the last one fills the elements. */
  readonly live: Filler[];
  /** Child that Tradewind added to each element. */
  readonly shown: WeakMap<HTMLElement, HTMLElement>;
  /** HTML that the edge wrote into elements, by {@link key}; valid for the page of that response. */
  readonly edge: Map<string, string>;
  /** Elements whose edge HTML is no longer valid, by {@link key}; `undefined` if all of it is invalid. */
  over: Set<string> | undefined;
  /** Page view, and the products reported in it. */
  view: string;
  counted: Set<string>;
}

/** Address of the current page view, which also changes with soft navigations. */
const here = (): string => location.pathname + location.search;

const shared = globalThis as { [page: symbol]: Page | undefined };

/** On a server there is no document. */
const page: Page = (shared[Symbol.for("tradewind")] ??= {
  elements: new Set(),
  live: [],
  shown: new WeakMap(),
  edge: new Map(),
  over: new Set(),
  view: globalThis.location ? here() : "",
  counted: new Set(),
});

/** Elements in the document. */
export const elements: ReadonlySet<HTMLElement> = page.elements;

/** Instance that fills elements. */
export const live = (): Filler | undefined => page.live.at(-1);

/** Registers an instance to fill the elements; returns a function that ends it. */
export function enter(filler: Filler): () => void {
  page.live.push(filler);
  filler.takeOver();
  return () => {
    const [last, place] = [live(), page.live.indexOf(filler)];
    if (place >= 0) page.live.splice(place, 1);
    if (last === filler) live()?.takeOver();
  };
}

/** Whether an element is a slot; otherwise it is a price. */
export const isSlot = (element: HTMLElement): boolean => element.localName === "tradewind-slot";

/** Key of an element's content: the slot's name, or the product. */
const key = (element: HTMLElement, what = element.getAttribute(isSlot(element) ? "name" : "sku")): string =>
  `${element.localName} ${what ?? ""}`;

/** Whether the edge's decision for an element is still valid. */
export function edgeHolds(element: HTMLElement): boolean {
  // After a soft navigation it belongs to another page view.
  if (here() !== page.view) newView();
  return page.over !== undefined && !page.over.has(key(element));
}

/** Invalidates the edge's decision for an element, or for all slots. */
export function overrule(element?: HTMLElement): void {
  if (element) page.over?.add(key(element));
  else page.over = undefined;
}

function newView(): void {
  page.view = here();
  page.counted.clear();
  page.over = undefined;
}

/** Reports products that came into view to every instance, once per page view. */
export function expose(slot: string, by: "edge" | "device", skus: string[]): void {
  if (here() !== page.view) newView();
  const fresh = skus.filter((sku) => !page.counted.has(`${slot}\n${sku}`));
  for (const sku of fresh) page.counted.add(`${slot}\n${sku}`);
  if (fresh.length) for (const filler of [...page.live]) filler.exposed({ slot, by, skus: fresh });
}

/** Element that contains what is shown: the child that Tradewind added, or the element itself. */
export const shownIn = (element: HTMLElement): HTMLElement => page.shown.get(element) ?? element;

/** Whether Tradewind shows something in an element: in its own child, or as the edge's content. */
export const isFilled = (element: HTMLElement): boolean => page.shown.has(element) || element.dataset["tradewind"] === "edge";

/** Comment at which React stops hydrating an element's children, so that a further child is no mismatch. */
const END = "/$";

/** Whether an element's own content is the edge's. */
export function isEdges(element: HTMLElement, html = page.edge.get(key(element))): boolean {
  if (html === undefined) return false;
  const template = document.createElement("template");
  template.innerHTML = html;
  const own = [...element.childNodes].filter((child) => child !== page.shown.get(element));
  const text = own.map((child) => (child instanceof Comment ? "" : child.textContent)).join("");
  return text === template.content.textContent;
}

/** Shows HTML instead of the page's own content, which stays in the element. */
export function show(element: HTMLElement, html: string, by: "edge" | "device"): void {
  const template = document.createElement("template");
  template.innerHTML = html;
  const focused = element.contains(document.activeElement);
  let shown = page.shown.get(element);
  if (shown) {
    shown.replaceChildren(template.content);
  } else {
    shown = document.createElement("slot");
    shown.slot = "tradewind";
    shown.append(template.content);
    page.shown.set(element, shown);
    put(element, shown);
  }
  element.dataset["tradewind"] = by;
  // Keeps the keyboard focus.
  if (focused) shown.querySelector<HTMLElement>("a, button")?.focus({ preventScroll: true });
}

/** Shows the page's own content. */
export function hide(element: HTMLElement): void {
  const shown = page.shown.get(element);
  page.shown.delete(element);
  const before = shown?.previousSibling;
  if (before instanceof Comment && before.data === END) before.remove();
  shown?.remove();
  delete element.dataset["tradewind"];
}

/** Adds the child, which is shown instead of the others. */
function put(element: HTMLElement, shown: HTMLElement): void {
  takeRoom(element);
  element.append(document.createComment(END), shown);
  watch(element);
}

function takeRoom(element: HTMLElement): void {
  const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
  // Without the child, the inner slot shows the others.
  root.innerHTML ||= '<slot name="tradewind"><slot></slot></slot>';
}

/** Frameworks that replace all children also remove Tradewind's: it is restored before painting. */
const observer =
  globalThis.MutationObserver &&
  new MutationObserver((changes) => {
    for (const element of new Set(changes.map(({ target }) => target as HTMLElement))) restore(element);
  });

const watch = (element: HTMLElement): void => observer.observe(element, { childList: true });

function restore(element: HTMLElement): void {
  const shown = page.shown.get(element);
  const html = page.edge.get(key(element));
  const lost = shown ? shown.parentNode !== element : element.dataset["tradewind"] === "edge" && edgeHolds(element);
  if (!lost) return;
  if (shown) put(element, shown);
  else if (html !== undefined) show(element, html, "edge");
}

/** Records the edge's content of an element, or restores it after a framework has removed it. */
function fromEdge(element: HTMLElement): void {
  const own = element.querySelector<HTMLElement>(":scope > slot[slot=tradewind]");
  if (own && !page.shown.has(element)) {
    page.shown.set(element, own);
    takeRoom(element);
  }
  if (!edgeHolds(element)) return;
  const html = page.edge.get(key(element));
  if (element.dataset["tradewind"] === "edge") {
    if (html === undefined) page.edge.set(key(element), shownIn(element).innerHTML);
    watch(element);
  } else if (html !== undefined && !isFilled(element)) {
    show(element, html, "edge");
  }
}

const Base = (globalThis as { HTMLElement?: typeof HTMLElement }).HTMLElement ?? (class {} as typeof HTMLElement);

class TradewindElement extends Base {
  static readonly observedAttributes = ["name", "limit", "exclude", "sku"];

  connectedCallback(): void {
    page.elements.add(this);
    // Content that the parser has not read yet is recorded afterwards.
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", () => fromEdge(this));
    else fromEdge(this);
    live()?.changed(this);
  }

  disconnectedCallback(): void {
    page.elements.delete(this);
    live()?.gone(this);
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after || !page.elements.has(this)) return;
    // The price of one product must not stay on another.
    if (name === "sku" && !isSlot(this)) takeAway(this, page.edge.get(key(this, before)));
    overrule(this);
    live()?.changed(this);
  }
}

/** Removes a stale price: the page's own content shows again, unless it is still the edge's. */
function takeAway(element: HTMLElement, stale: string | undefined): void {
  hide(element);
  if (!isEdges(element, stale)) return;
  show(element, "", "edge");
  const changed = new MutationObserver(() => {
    changed.disconnect();
    if (!shownIn(element).firstChild) hide(element);
  });
  changed.observe(element, { childList: true, characterData: true, subtree: true });
  changed.takeRecords();
}

// Another copy of the package may have defined it.
if (globalThis.customElements && !customElements.get("tradewind-slot")) {
  customElements.define("tradewind-slot", class extends TradewindElement {});
  customElements.define("tradewind-price", class extends TradewindElement {});
}

/**
 * `<tradewind-slot>` and `<tradewind-price>`: they say that they are there, and who fills them is {@link live}.
 *
 * What is inside an element belongs to the page, or to a framework, and is left alone. What Tradewind shows is in one
 * child of its own, which takes the place of the others in the element's shadow root.
 */

/** An instance that can fill elements. */
export interface Filler {
  /** An element is new in the document, or has another attribute. */
  changed(element: HTMLElement): void;
  /** An element is not in the document any more. */
  gone(element: HTMLElement): void;
  /** Fills all there are, since another instance that did so has ended. */
  takeOver(): void;
  /** Tells its listeners of products that came into view. */
  exposed(detail: { slot: string; by: "edge" | "device"; skus: string[] }): void;
}

/** What all copies of the package in a page have in common. Its shape stays from version to version. */
interface Page {
  /** The elements in the document. */
  readonly elements: Set<HTMLElement>;
  /** The loaded instances; the last one fills the elements. */
  readonly live: Filler[];
  /** The child that Tradewind added to an element. */
  readonly shown: WeakMap<HTMLElement, HTMLElement>;
  /** What the edge wrote into elements, by {@link key}: it holds for the page that came from there. */
  readonly edge: Map<string, string>;
  /** Elements for which it does not hold any more, by {@link key}; `undefined` where it holds for none. */
  over: Set<string> | undefined;
  /** The page view, and the products that were told of in it. */
  view: string;
  counted: Set<string>;
}

/** Where the shopper is: it changes with soft navigations, too. */
const here = (): string => location.pathname + location.search;

const shared = globalThis as { [page: symbol]: Page | undefined };

/** On a server there is no page. */
const page: Page = (shared[Symbol.for("tradewind")] ??= {
  elements: new Set(),
  live: [],
  shown: new WeakMap(),
  edge: new Map(),
  over: new Set(),
  view: globalThis.location ? here() : "",
  counted: new Set(),
});

/** The elements in the document. */
export const elements: ReadonlySet<HTMLElement> = page.elements;

/** The instance that fills elements. */
export const live = (): Filler | undefined => page.live.at(-1);

/** From now on an instance fills the elements; returns what ends that. */
export function enter(filler: Filler): () => void {
  page.live.push(filler);
  filler.takeOver();
  return () => {
    const [last, place] = [live(), page.live.indexOf(filler)];
    if (place >= 0) page.live.splice(place, 1);
    if (last === filler) live()?.takeOver();
  };
}

/** Whether an element is a slot; else it is a price. */
export const isSlot = (element: HTMLElement): boolean => element.localName === "tradewind-slot";

/** What an element shows: the slot's name, or the product. */
const key = (element: HTMLElement, what = element.getAttribute(isSlot(element) ? "name" : "sku")): string =>
  `${element.localName} ${what ?? ""}`;

/** Whether what the edge decided for an element still holds. */
export function edgeHolds(element: HTMLElement): boolean {
  // After a soft navigation it is of another page.
  if (here() !== page.view) newView();
  return page.over !== undefined && !page.over.has(key(element));
}

/** What the edge decided for an element, or for all slots, holds no more. */
export function overrule(element?: HTMLElement): void {
  if (element) page.over?.add(key(element));
  else page.over = undefined;
}

function newView(): void {
  page.view = here();
  page.counted.clear();
  page.over = undefined;
}

/** Tells every instance of products that came into view, once in a page view. */
export function expose(slot: string, by: "edge" | "device", skus: string[]): void {
  if (here() !== page.view) newView();
  const fresh = skus.filter((sku) => !page.counted.has(`${slot}\n${sku}`));
  for (const sku of fresh) page.counted.add(`${slot}\n${sku}`);
  if (fresh.length) for (const filler of [...page.live]) filler.exposed({ slot, by, skus: fresh });
}

/** Where what is shown in an element is: the child that Tradewind added, or the element itself. */
export const shownIn = (element: HTMLElement): HTMLElement => page.shown.get(element) ?? element;

/** Whether Tradewind shows something in an element: in its own child, or what the edge put in place of the others. */
export const isFilled = (element: HTMLElement): boolean => page.shown.has(element) || element.dataset["tradewind"] === "edge";

/** The comment at which React ends hydration of an element's children, so that one more after it is no mismatch. */
const END = "/$";

/** Whether what the page has in an element is what the edge put there. */
export function isEdges(element: HTMLElement, html = page.edge.get(key(element))): boolean {
  if (html === undefined) return false;
  const template = document.createElement("template");
  template.innerHTML = html;
  const own = [...element.childNodes].filter((child) => child !== page.shown.get(element));
  const text = own.map((child) => (child instanceof Comment ? "" : child.textContent)).join("");
  return text === template.content.textContent;
}

/** Shows HTML in place of what the page has in an element, which stays there. */
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
  // A keyboard stays where it was.
  if (focused) shown.querySelector<HTMLElement>("a, button")?.focus({ preventScroll: true });
}

/** Shows what the page has in an element. */
export function hide(element: HTMLElement): void {
  const shown = page.shown.get(element);
  page.shown.delete(element);
  const before = shown?.previousSibling;
  if (before instanceof Comment && before.data === END) before.remove();
  shown?.remove();
  delete element.dataset["tradewind"];
}

/** Adds the child, which takes the place of the others. */
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

/** Frameworks that replace all children at once take Tradewind's along: it is put back, before anything is painted. */
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

/** Takes note of what the edge wrote into an element, or puts it back into one that lost it to a framework. */
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
    // What the parser has not read yet is taken note of once it has.
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

/** Takes a stale price away: what the page has shows again, unless that is still what the edge put there. */
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

// Another copy of the package may have done so.
if (globalThis.customElements && !customElements.get("tradewind-slot")) {
  customElements.define("tradewind-slot", class extends TradewindElement {});
  customElements.define("tradewind-price", class extends TradewindElement {});
}

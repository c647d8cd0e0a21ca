/** Filling of a page's elements, for one instance. */

import { escaped } from "./card.js";
import {
  edgeHolds,
  elements,
  enter,
  expose,
  type Filler,
  hide,
  isEdges,
  isFilled,
  isSlot,
  live,
  overrule,
  show,
  shownIn,
} from "./elements.js";
import { TradewindError } from "./error.js";
import type { Tradewind } from "./tradewind.js";
import { delivery, money, sentence } from "./words.js";
import type { Ranking } from "./types.js";

/** Default and maximum number of products in a slot. */
const [USUAL, MOST] = [8, 48];

/** Milliseconds until a failed fetch is retried, doubling up to the second number. */
const [AGAIN, SELDOM] = [5_000, 300_000];

/** Fills the page's elements from an instance; returns a function that stops it. */
export function attach(tradewind: Tradewind): () => void {
  const work = new Work(tradewind);
  const leave = enter(work);
  return () => {
    leave();
    work.end();
  };
}

/** Elements filled one after another, in the order of the page. */
class Lane {
  readonly waiting = new Set<HTMLElement>();
  readonly #work: Work;
  readonly #fill: (element: HTMLElement) => Promise<void>;
  #running = false;
  #again: ReturnType<typeof setTimeout> | undefined;
  #pause = AGAIN;

  constructor(work: Work, fill: (element: HTMLElement) => Promise<void>) {
    this.#work = work;
    this.#fill = fill;
  }

  add(element: HTMLElement): void {
    this.waiting.add(element);
    if (!this.#running) void this.#run();
  }

  end(): void {
    clearTimeout(this.#again);
  }

  async #run(): Promise<void> {
    this.#running = true;
    clearTimeout(this.#again);
    // Attributes set together are handled together.
    await undefined;
    const failed: HTMLElement[] = [];
    for (let [element] = inOrder(this.waiting); element && this.#work.fills; [element] = inOrder(this.waiting)) {
      this.waiting.delete(element);
      const failure = await this.#fill(element).catch((error: unknown) => TradewindError.of(error, "module"));
      if (!failure) {
        delete element.dataset["tradewindError"];
      } else if (this.#work.fills) {
        element.dataset["tradewindError"] = failure.code;
        this.#work.tradewind.tell("error", failure);
        if (failure.code === "fetch" || failure.code === "timeout") failed.push(element);
        if (failure.code === "timeout") {
          // The next one would fail too.
          failed.push(...this.waiting);
          this.waiting.clear();
        }
      }
    }
    this.#running = false;
    if (!failed.length) {
      this.#pause = AGAIN;
      return;
    }
    this.#again = setTimeout(() => {
      for (const element of failed) if (elements.has(element)) this.add(element);
    }, this.#pause);
    this.#pause = Math.min(2 * this.#pause, SELDOM);
  }
}

class Work implements Filler {
  readonly tradewind: Tradewind;
  /** A slot excludes products of earlier slots; prices wait for no slot. */
  readonly #slots = new Lane(this, (slot) => this.#slot(slot));
  readonly #prices = new Lane(this, (price) => this.#price(price));
  /** Functions to call when an element goes: to stop observing whether it is in view. */
  readonly #ends = new Map<HTMLElement, () => void>();
  readonly #events: (() => void)[];

  constructor(tradewind: Tradewind) {
    this.tradewind = tradewind;
    const again = (): void => {
      overrule();
      for (const element of elements) if (isSlot(element)) this.changed(element);
    };
    this.#events = [tradewind.on("profile", again), tradewind.on("consent", again)];
  }

  end(): void {
    for (const end of [...this.#events, ...this.#ends.values()]) end();
    this.#slots.end();
    this.#prices.end();
  }

  /** Whether this instance fills elements. */
  get fills(): boolean {
    return live() === this;
  }

  changed(element: HTMLElement): void {
    this.#lane(element).add(element);
  }

  gone(element: HTMLElement): void {
    this.#lane(element).waiting.delete(element);
    this.#until(element);
  }

  takeOver(): void {
    for (const element of elements) this.changed(element);
  }

  exposed(detail: Parameters<Filler["exposed"]>[0]): void {
    this.tradewind.tell("exposure", detail);
  }

  #lane(element: HTMLElement): Lane {
    return isSlot(element) ? this.#slots : this.#prices;
  }

  /** Whether an element is already queued again, or filled by another instance. */
  #over(element: HTMLElement): boolean {
    return !this.fills || this.#lane(element).waiting.has(element);
  }

  /** Calls an element's stop function, and sets the next one. */
  #until(element: HTMLElement, end = (): void => {}): void {
    this.#ends.get(element)?.();
    this.#ends.set(element, end);
    if (!elements.has(element)) this.#ends.delete(element);
  }

  /** Shows the edge's ranking, or ranks. */
  async #slot(slot: HTMLElement): Promise<void> {
    const { tradewind } = this;
    const name = slot.getAttribute("name") ?? "";
    // Loaded now instead of at the first change: it works offline, and the request's time reveals nothing.
    await tradewind.texts;
    const handed = edgeHolds(slot) ? await tradewind.handed(name) : null;
    const theirs = handed?.items.map((item) => item.sku) ?? [];
    // Unless a framework has restored its own children.
    const shown = slot.dataset["tradewind"] === "edge" ? skusOf(slot) : [];
    if (shown.length && shown.every((sku) => theirs.includes(sku))) return this.#watch(slot);

    const before = inOrder(elements).filter(isSlot);
    const exclude = before.slice(0, before.indexOf(slot)).flatMap(skusOf);
    const limit = limitOf(slot);
    const ranking = handed ?? (await tradewind.rankOffered({ limit, exclude: [...exclude, ...excludedBy(slot)] }));
    const html = await cards(tradewind, ranking);
    // Elements that changed in the meantime are filled again.
    if (this.#over(slot)) return;
    const skus = ranking.items.map((item) => item.sku);
    const same = slot.dataset["tradewind"] === "edge" && skus.join() === skusOf(slot).join();
    if (!html) {
      hide(slot);
    } else if (!same && shownHtml.get(shownIn(slot)) !== html) {
      show(slot, html, handed ? "edge" : "device");
      shownHtml.set(shownIn(slot), html);
    }
    // Later slots exclude its products.
    for (const later of before.slice(before.indexOf(slot) + 1)) {
      if (!isFilled(later) || !skusOf(later).some((sku) => skus.includes(sku))) continue;
      overrule(later);
      this.changed(later);
    }
    this.#watch(slot);
  }

  /** Reports the products of a slot when half of it is in view. */
  #watch(slot: HTMLElement): void {
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (!entry?.isIntersecting) return;
        observer.disconnect();
        const by = slot.dataset["tradewind"];
        if (isFilled(slot)) expose(slot.getAttribute("name") ?? "", by === "edge" ? by : "device", skusOf(slot));
      },
      { threshold: 0.5 },
    );
    observer.observe(slot);
    this.#until(slot, () => observer.disconnect());
  }

  /** Shows a price. */
  async #price(element: HTMLElement): Promise<void> {
    const { tradewind } = this;
    const sku = element.getAttribute("sku");
    if (!sku) return;
    const quote = await tradewind.quote({ sku }).catch((error: TradewindError) => {
      // Missing inputs are not a failure: the page's own price stays.
      if (error.code === "refused") return null;
      throw error;
    });
    // The edge's price is for another region, or has expired.
    const stale = !quote && isEdges(element) && tradewind.handover?.quotes.some((handed) => handed.sku === sku);
    const [listed] = stale ? await tradewind.products([sku]).catch(() => []) : [];
    if (this.#over(element)) return;
    const amount = quote ?? listed;
    const text = amount ? money(amount.price, amount.currency, tradewind.locale) : "";
    const own = shownIn(element) === element;
    if (quote || stale) {
      const same = isFilled(element) && shownIn(element).textContent === text;
      if (!same || (own && quote?.by !== "edge")) show(element, escaped(text), quote?.by ?? "device");
    } else if (!own) {
      hide(element);
    }
  }
}

/** HTML that was shown, by child. */
const shownHtml = new WeakMap<HTMLElement, string>();

const inOrder = (some: Iterable<HTMLElement>): HTMLElement[] =>
  [...some]
    .filter((element) => element.isConnected)
    .sort((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));

/** Number of products of a slot, by HTML's rules for non-negative integers. */
export function limitOf(slot: Element): number {
  const [, digits] = /^[\t\n\f\r ]*\+?(\d+)/.exec(slot.getAttribute("limit") ?? "") ?? [];
  return Math.min(Number(digits ?? 0), MOST) || USUAL;
}

/** Products excluded from a slot: tokens separated by HTML's white space. */
export const excludedBy = (slot: Element): string[] => [
  ...new Set((slot.getAttribute("exclude") ?? "").split(/[\t\n\f\r ]+/).filter(Boolean)),
];

/** Products shown in a slot. */
const skusOf = (slot: HTMLElement): string[] =>
  Array.from(shownIn(slot).querySelectorAll<HTMLElement>("[data-sku]"), (card) => card.dataset["sku"] ?? "");

/** Cards of a ranking. */
async function cards(tradewind: Tradewind, { items }: Ranking): Promise<string> {
  const through = items.flatMap(({ reasons: [reason] }) => (reason && typeof reason === "object" && "goes_with" in reason ? [reason.goes_with.sku] : []));
  const texts = await tradewind.textsOf([...items.map((item) => item.sku), ...through]);
  const shown = items.filter((item) => texts[item.sku]);
  const listed = await tradewind.products(shown.map((item) => item.sku));
  const prices = await Promise.all(shown.map((item) => tradewind.quote(item).catch(() => null)));
  const { locale } = tradewind;
  const html = shown.map(({ sku, reasons: [reason] }, n) => {
    const [product, text] = [listed[n], texts[sku]];
    if (!product || !text) return "";
    const price = prices[n]?.price ?? product.price;
    return tradewind.card({
      sku,
      ...text,
      price: money(price, product.currency, locale),
      list: product.list > price ? money(product.list, product.currency, locale) : "",
      delivery: product.delivery ? delivery(product.delivery, locale) : "",
      reason: reason ? sentence(reason, locale, (sku) => texts[sku]?.title ?? sku) : "",
    });
  });
  return html.join("");
}

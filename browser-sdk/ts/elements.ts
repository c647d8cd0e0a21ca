/** `<tradewind-slot>` and `<tradewind-price>`: what is inside stays as it is until there is something better. */

import { TradewindError } from "./error.js";
import type { Tradewind } from "./tradewind.js";
import { delivery, money } from "./words.js";
import type { Ranking } from "./types.js";

/** On a server there are no elements, and none are made. */
const Base = (globalThis as { HTMLElement?: typeof HTMLElement }).HTMLElement ?? (class {} as typeof HTMLElement);

let current: Tradewind | undefined;
const slots = new Set<SlotElement>();
/** Slots are filled one after another: each leaves out what those before it show. */
let queue: Promise<void> = Promise.resolve();

/** Makes the elements of a page work with an instance: the first that is loaded, until it is closed. */
export function attach(tradewind: Tradewind): void {
  if (current && !current.closed) return;
  current = tradewind;
  tradewind.on("profile", refresh);
  tradewind.on("consent", refresh);
  if (!customElements.get("tradewind-slot")) {
    customElements.define("tradewind-slot", SlotElement);
    customElements.define("tradewind-price", PriceElement);
  } else {
    refresh();
  }
}

/** Ranks every slot anew. */
function refresh(): void {
  const tradewind = current;
  if (!tradewind) return;
  for (const slot of inOrder()) fill(slot, () => slot.rank(tradewind));
}

function fill(element: HTMLElement, work: () => Promise<void>): void {
  queue = queue.then(work).catch((error: unknown) => {
    const failure = TradewindError.of(error, "module");
    element.dataset["tradewindError"] = failure.code;
    current?.tell("error", failure);
  });
}

const inOrder = (): SlotElement[] =>
  [...slots].sort((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));

/** Ranked products: `<tradewind-slot name="for-you" limit="8">`. */
class SlotElement extends Base {
  #seen: IntersectionObserver | undefined;

  connectedCallback(): void {
    slots.add(this);
    const tradewind = current;
    if (tradewind) fill(this, () => this.#first(tradewind));
  }

  disconnectedCallback(): void {
    slots.delete(this);
    this.#seen?.disconnect();
  }

  /** Takes what the edge ranked, or ranks. */
  async #first(tradewind: Tradewind): Promise<void> {
    // Now, and not with the first change: so it is there without a network, and when it is asked for tells nothing.
    await tradewind.texts;
    const handed = this.dataset["tradewind"] === "edge" ? await tradewind.handed(this.#name) : null;
    if (handed) this.#watch(tradewind, "edge", handed.items.map((item) => item.sku));
    else await this.rank(tradewind);
  }

  /** Ranks, and shows the products. */
  async rank(tradewind: Tradewind): Promise<void> {
    const limit = Number(this.getAttribute("limit") ?? 8);
    const before = inOrder();
    const exclude = before.slice(0, before.indexOf(this)).flatMap((slot) => slot.skus);
    const cart = (this.getAttribute("exclude") ?? "").split(" ").filter(Boolean);
    const ranking = await tradewind.rank({ limit, exclude: [...exclude, ...cart] });
    const skus = ranking.items.map((item) => item.sku);
    const same = this.dataset["tradewind"] && skus.join() === this.skus.join();
    const html = same ? "" : await cards(tradewind, ranking);
    if (html) this.#show(html);
    this.dataset["tradewind"] = same ? (this.dataset["tradewind"] as string) : "device";
    delete this.dataset["tradewindError"];
    this.#watch(tradewind, this.dataset["tradewind"] as "edge" | "device", skus);
  }

  /** The products that are shown. */
  get skus(): string[] {
    return Array.from(this.querySelectorAll<HTMLElement>("[data-sku]"), (card) => card.dataset["sku"] ?? "");
  }

  get #name(): string {
    return this.getAttribute("name") ?? "";
  }

  /** Puts other cards in the place of those that are there, in one step: nothing else on the page moves. */
  #show(html: string): void {
    const template = document.createElement("template");
    template.innerHTML = html;
    const focused = this.contains(document.activeElement);
    this.replaceChildren(template.content);
    // A keyboard stays where it was.
    if (focused) this.querySelector<HTMLElement>("a, button")?.focus({ preventScroll: true });
  }

  /** Tells when half of it is in view. */
  #watch(tradewind: Tradewind, by: "edge" | "device", skus: string[]): void {
    this.#seen?.disconnect();
    if (!skus.length) return;
    const slot = this.#name;
    this.#seen = new IntersectionObserver(
      ([entry], observer) => {
        if (!entry?.isIntersecting) return;
        observer.disconnect();
        tradewind.tell("exposure", { slot, by, skus });
      },
      { threshold: 0.5 },
    );
    this.#seen.observe(this);
  }
}

/** The cards of a ranking. A product that the shop has no page for is left out. */
async function cards(tradewind: Tradewind, { items }: Ranking): Promise<string> {
  const texts = await tradewind.texts;
  const shown = items.filter((item) => texts[item.sku]);
  if (items.length && !shown.length) {
    throw new TradewindError("config", `\`products\` has none of the ranked products, such as \`${items[0]?.sku}\``);
  }
  const listed = await tradewind.products(shown.map((item) => item.sku));
  const prices = await Promise.all(shown.map((item) => tradewind.quote(item).catch(() => null)));
  const { locale } = tradewind;
  const html = shown.map(({ sku, reasons, goes_with }, n) => {
    const [product, text] = [listed[n], texts[sku]];
    if (!product || !text) return "";
    const price = prices[n]?.price ?? product.price;
    const reason = reasons[0] ?? "";
    return tradewind.card({
      sku,
      ...text,
      price: money(price, product.currency, locale),
      list: product.list > price ? money(product.list, product.currency, locale) : "",
      delivery: product.delivery ? delivery(product.delivery, locale) : "",
      reason: reason === `goes with ${goes_with}` ? `goes with ${texts[goes_with ?? ""]?.title ?? goes_with}` : reason,
    });
  });
  return html.join("");
}

/** A price: `<tradewind-price sku="1082185">`. */
class PriceElement extends Base {
  connectedCallback(): void {
    const tradewind = current;
    if (tradewind) fill(this, () => this.#price(tradewind));
  }

  async #price(tradewind: Tradewind): Promise<void> {
    const sku = this.getAttribute("sku") ?? "";
    const quote = await tradewind.quote({ sku }).catch((error: TradewindError) => {
      // Nothing to compute it from is no failure: the page's own price stays.
      if (error.code === "refused") return null;
      throw error;
    });
    if (!quote) return;
    const text = money(quote.price, quote.currency, tradewind.locale);
    if (this.textContent !== text) this.textContent = text;
    this.dataset["tradewind"] = quote.by;
  }
}

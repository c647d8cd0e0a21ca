/** What everyone may know, from the snapshot's public section: `tradewind_core::snapshot::Storefront`. */

import { TradewindError } from "./error.js";
import { Reader } from "./postcard.js";
import { DAY, date } from "./time.js";
import type { ListedProduct } from "./types.js";

/** A product's list price, and each price from the moment it holds, ascending; the first holds before its moment too. */
interface Prices {
  list: number;
  points: { since: number; price: number }[];
}

interface Region {
  code: string;
  /** Minutes by which its clocks are ahead of UTC. */
  offset: number;
  promises: { min: number; max: number; products: Uint8Array }[];
}

export class Storefront {
  readonly currency: string;
  readonly #places: Map<string, number>;
  readonly #prices: Prices[];
  readonly #regions: Region[];

  constructor(section: Uint8Array) {
    const from = new Reader(section);
    this.currency = String.fromCharCode(...from.raw(3));
    from.signed(); // from when it holds
    from.signed(); // until when
    this.#places = new Map(from.list(() => from.text()).map((sku, place) => [sku, place]));
    from.list(() => from.unsigned()); // categories
    from.list(() => from.text()); // their names
    const point = (): Prices["points"][number] => ({ since: from.signed(), price: from.signed() });
    this.#prices = from.list(() => ({ list: from.signed(), points: from.list(point) }));
    this.#regions = from.list(() => ({
      code: from.text(),
      offset: from.signed(),
      promises: from.list(() => {
        const [min, max] = [from.byte(), from.byte()];
        from.unsigned(); // products of the catalogue
        return { min, max, products: from.raw(from.unsigned()) };
      }),
    }));
    // What prices may be computed from follows; the module reads it.
  }

  /** Whether the snapshot has a product. */
  has(sku: string): boolean {
    return this.#places.has(sku);
  }

  /** What is known of a product at a moment; `null` where the snapshot does not have it. */
  product(sku: string, code: string | undefined, at: number): ListedProduct | null {
    const region = this.#regions.find((region) => region.code === code);
    if (code !== undefined && !region) throw new TradewindError("input", `the snapshot has no region \`${code}\``);
    const place = this.#places.get(sku);
    const prices = place === undefined ? undefined : this.#prices[place];
    if (place === undefined || !prices) return null;
    const { list } = prices;
    const price = priceAt(prices, at);
    return {
      sku,
      currency: this.currency,
      price,
      list,
      lowest_30_days: lowestBefore(prices, price, at),
      delivery: region ? delivery(region, place, at) : null,
    };
  }
}

/** The listed price of a moment. */
function priceAt({ list, points }: Prices, at: number): number {
  return (points.findLast((point) => point.since <= at) ?? points[0])?.price ?? list;
}

/** The lowest price of the 30 days before `price` began: `ListedPrice::lowest_before` in the core. */
export function lowestBefore(prices: Prices, price: number, at: number): number {
  const shown = prices.points.filter((point) => point.since <= at);
  const began = shown[shown.findLastIndex((point) => point.price !== price) + 1]?.since ?? at;
  const from = began - 30 * DAY;
  const since = prices.points.filter((point) => point.since >= from && point.since < began);
  return Math.min(priceAt(prices, from), ...since.map((point) => point.price));
}

/** The soonest promise for a product. */
function delivery({ offset, promises }: Region, place: number, at: number): ListedProduct["delivery"] {
  const holds = (products: Uint8Array): boolean => (((products[place >> 3] ?? 0) >> (place % 8)) & 1) === 1;
  const promise = promises.find(({ products }) => holds(products));
  if (!promise) return null;
  const { min, max } = promise;
  const today = Math.floor((at + offset * 60_000) / DAY);
  return { min_days: min, max_days: max, from: date(today + min), to: date(today + max) };
}

/** What everyone may know, from the snapshot's public section: `tradewind_core::snapshot::Storefront`. */

import { Columns, Skus } from "./columns.js";
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
  readonly #skus: Skus;
  readonly #lists: BigInt64Array;
  /** Where the prices of each product start in `#points`. */
  readonly #starts: Uint32Array;
  /** Moment and price, one after another. */
  readonly #points: BigInt64Array;
  readonly #regions: Region[];

  constructor(section: Uint8Array) {
    const columns = new Columns(section);
    const head = new Reader(columns.next());
    this.currency = String.fromCharCode(...head.raw(3));
    head.signed(); // from when it holds
    head.signed(); // until when
    const promise = () => ({ min: head.byte(), max: head.byte() });
    const regions = head.list(() => ({ code: head.text(), offset: head.signed(), promises: head.list(promise) }));
    this.#skus = new Skus(columns);
    columns.next(); // categories
    columns.next(); // the lengths of their names
    columns.next(); // their names
    this.#lists = columns.numbers();
    this.#starts = columns.starts();
    this.#points = columns.numbers();
    const promised = columns.next();
    const bytes = Math.ceil(this.#skus.length / 8);
    let end = 0;
    const products = () => promised.subarray(end, (end += bytes));
    this.#regions = regions.map(({ code, offset, promises }) => ({
      code,
      offset,
      promises: promises.map(({ min, max }) => ({ min, max, products: products() })),
    }));
    // What prices may be computed from follows; the module reads it.
  }

  /** Whether the snapshot has a product. */
  has(sku: string): boolean {
    return this.#skus.place(sku) !== undefined;
  }

  #prices(place: number): Prices {
    const points: Prices["points"] = [];
    for (let n = this.#starts[place] ?? 0; n < (this.#starts[place + 1] ?? 0); n += 1) {
      points.push({ since: Number(this.#points[2 * n]), price: Number(this.#points[2 * n + 1]) });
    }
    return { list: Number(this.#lists[place]), points };
  }

  /** What is known of a product at a moment; `null` where the snapshot does not have it. */
  product(sku: string, code: string | undefined, at: number): ListedProduct | null {
    const region = this.#regions.find((region) => region.code === code);
    if (code !== undefined && !region) throw new TradewindError("input", `the snapshot has no region \`${code}\``);
    const place = this.#skus.place(sku);
    if (place === undefined) return null;
    const prices = this.#prices(place);
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

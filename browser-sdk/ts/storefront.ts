/** What everyone may know, from the snapshot's public section: `tradewind_core::snapshot::Storefront`. */

import { hex } from "./bytes.js";
import { Columns, Skus } from "./columns.js";
import { TradewindError } from "./error.js";
import { Reader } from "./postcard.js";
import { DAY, date } from "./time.js";
import type { HandedProduct, ListedProduct } from "./types.js";

/** A product's list price, and each price from the moment it holds, ascending; the first holds before its moment too. */
interface Prices {
  list: number;
  points: { since: number; price: number }[];
}

interface Region {
  code: string;
  /** Minutes by which its clocks are ahead of UTC. */
  offset: number;
  /** Days, and which of the snapshot's promises it is. */
  promises: { min: number; max: number; n: number }[];
}

export class Storefront {
  readonly currency: string;
  /** Root of the snapshot of which it is a slice, in hexadecimal digits. */
  readonly sliceOf: string | undefined;
  readonly #skus: Skus;
  readonly #lists: BigInt64Array;
  /** Where the prices of each product end in `#points`. */
  readonly #ends: Uint32Array;
  /** Moment and price, one after another. */
  readonly #points: BigInt64Array;
  readonly #regions: Region[];
  /** The products of each promise, one bit each. */
  readonly #promised: Uint8Array;

  constructor(section: Uint8Array) {
    const columns = new Columns(section);
    const head = new Reader(columns.next());
    this.currency = String.fromCharCode(...head.raw(3));
    head.signed(); // from when it holds
    head.signed(); // until when
    let n = 0;
    const promise = () => ({ min: head.byte(), max: head.byte(), n: n++ });
    this.#regions = head.list(() => ({ code: head.text(), offset: head.signed(), promises: head.list(promise) }));
    head.byte(); // whether what prices may be computed from is published
    this.sliceOf = head.byte() ? hex(head.raw(32)) : undefined;
    this.#skus = new Skus(columns);
    columns.next(); // categories
    columns.next(); // the lengths of their names
    columns.next(); // their names
    this.#lists = columns.numbers();
    this.#ends = columns.ends();
    this.#points = columns.numbers();
    this.#promised = columns.next();
    // What prices may be computed from follows; the module reads it.
  }

  /** Whether the snapshot has a product. */
  has(sku: string): boolean {
    return this.#skus.place(sku) !== undefined;
  }

  #prices(place: number): Prices {
    const points: Prices["points"] = [];
    for (let n = this.#ends[place - 1] ?? 0; n < (this.#ends[place] ?? 0); n += 1) {
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
      delivery: region ? this.#delivery(region, place, at) : null,
    };
  }

  /** What the edge has said about a product outside the slice. */
  handed({ row, list, price, lowest_30_days, days }: HandedProduct, code: string | undefined, at: number): ListedProduct {
    const region = this.#regions.find((region) => region.code === code);
    const delivery = region && days ? delivered(region, days[0], days[1], at) : null;
    return { sku: row.sku, currency: this.currency, price, list, lowest_30_days, delivery };
  }

  /** The soonest promise for a product. */
  #delivery(region: Region, place: number, at: number): ListedProduct["delivery"] {
    const bytes = Math.ceil(this.#skus.length / 8);
    const promise = region.promises.find(({ n }) => ((this.#promised[n * bytes + (place >> 3)] ?? 0) >> (place % 8)) & 1);
    return promise ? delivered(region, promise.min, promise.max, at) : null;
  }
}

/** Days of a promise, in the region's time. */
function delivered({ offset }: Region, min: number, max: number, at: number): ListedProduct["delivery"] {
  const today = Math.floor((at + offset * 60_000) / DAY);
  return { min_days: min, max_days: max, from: date(today + min), to: date(today + max) };
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

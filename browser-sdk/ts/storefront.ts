/** What everyone may know, from the snapshot's public section: `tradewind_core::snapshot::Storefront`. */

import { TradewindError } from "./error.js";
import { Reader } from "./postcard.js";
import type { ListedProduct } from "./types.js";

const DAY = 86_400_000;

interface Point {
  since: number;
  price: number;
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
  readonly #prices: { list: number; points: Point[] }[];
  readonly #regions: Region[];

  constructor(section: Uint8Array) {
    const from = new Reader(section);
    this.currency = String.fromCharCode(...from.raw(3));
    from.signed(); // from when it holds
    from.signed(); // until when
    this.#places = new Map(from.list(() => from.text()).map((sku, place) => [sku, place]));
    from.list(() => from.unsigned()); // categories
    from.list(() => from.text()); // their names
    const point = (): Point => ({ since: from.signed(), price: from.signed() });
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

  /** What is known of a product at a moment; `null` where the snapshot does not have it. */
  product(sku: string, code: string | undefined, at: number): ListedProduct | null {
    const region = this.#regions.find((region) => region.code === code);
    if (code !== undefined && !region) throw new TradewindError("input", `the snapshot has no region \`${code}\``);
    const place = this.#places.get(sku);
    const prices = place === undefined ? undefined : this.#prices[place];
    if (place === undefined || !prices) return null;
    const { list, points } = prices;
    const price = (at: number): number => (points.findLast((point) => point.since <= at) ?? points[0])?.price ?? list;
    const from = at - 30 * DAY;
    const lately = points.filter((point) => point.since >= from && point.since < at).map((point) => point.price);
    return {
      sku,
      currency: this.currency,
      price: price(at),
      list,
      lowest_30_days: Math.min(price(from), ...lately),
      delivery: region ? delivery(region, place, at) : null,
    };
  }
}

/** The soonest promise for a product. */
function delivery({ offset, promises }: Region, place: number, at: number): ListedProduct["delivery"] {
  const holds = (products: Uint8Array): boolean => (((products[place >> 3] ?? 0) >> (place % 8)) & 1) === 1;
  const promise = promises.find(({ products }) => holds(products));
  if (!promise) return null;
  const { min, max } = promise;
  const today = Math.floor((at + offset * 60_000) / DAY);
  return { min_days: min, max_days: max, from: (today + min) * DAY, to: (today + max) * DAY };
}

/**
 * The messages of the module that a page needs, as `tradewind_core::message` has them.
 *
 * Here, and not in the shim: in Rust, with serde, they take as many bytes as the rest of the package. Tests hold both
 * to the same bytes, over every recorded case.
 */

import { TradewindError } from "./error.js";
import { Reader, Writer } from "./postcard.js";
import { DAY, date, moment } from "./time.js";
import type {
  Line,
  Objective,
  PriceReason,
  ProfileExport,
  Quote,
  RankedItem,
  RankRequest,
  Reason,
  ShopperEvent,
} from "./types.js";

/** The numbers of decisions, which lead a request and its reply. */
const RANK = 3;
const QUOTE = 4;

/** Someone of whom nothing is known. */
export const NOBODY = new Uint8Array(5);

/** A set of products of a catalogue: how many that has, and a bit for each. */
export interface Bits {
  length: number;
  bytes: Uint8Array;
}

/** Products of a catalogue of `length`, by their places. */
export function bits(length: number, places: Iterable<number>): Bits {
  const bytes = new Uint8Array(Math.ceil(length / 8));
  for (const place of places) bytes[place >> 3] = (bytes[place >> 3] ?? 0) | (1 << (place % 8));
  return { length, bytes };
}

/** A request for a ranking; `profile` as a reply gave it, `available` the products that can be had. */
export function rankRequest(
  pack: string,
  at: number,
  { limit, candidates, exclude = [], max_per_category, region }: RankRequest,
  profile: Uint8Array = NOBODY,
  events: readonly ShopperEvent[] = [],
  available?: Bits,
): Uint8Array<ArrayBuffer> {
  const to = new Writer();
  const text = (value: string): unknown => to.text(value);
  to.unsigned(RANK).text(pack).signed(at).raw(profile);
  to.list(events, (event) => writeEvent(to, at, event));
  to.optional(candidates, (skus) => to.list(skus, text));
  // Nothing is hidden: that is of the edge's requests.
  to.list(exclude, text).unsigned(0);
  to.optional(available, ({ length, bytes }) => to.unsigned(length).unsigned(bytes.length).raw(bytes));
  to.optional(max_per_category, (most) => to.unsigned(most)).optional(region, text);
  return to.unsigned(limit).bytes;
}

/** A request for a price, from the snapshot of a root. */
export function quoteRequest(
  snapshot: Uint8Array,
  at: number,
  sku: string,
  region: string,
  { margin = 0, revenue = 0, sell_through = 0 }: Objective,
): Uint8Array<ArrayBuffer> {
  const to = new Writer().unsigned(QUOTE).unsigned(0).raw(snapshot).signed(at).text(sku).text(region);
  return to.unsigned(margin).unsigned(revenue).unsigned(sell_through).bytes;
}

/** A ranking, with the profile as its bytes. */
export function readRanking(reply: Uint8Array): { items: RankedItem[]; considered: number; profile: Uint8Array } {
  const from = body(reply, RANK);
  const items = from.list(() => {
    const [sku, score] = [from.text(), from.float()];
    return { sku, score, reasons: from.list(() => readReason(from)) };
  });
  return { items, considered: from.unsigned(), profile: from.rest().slice() };
}

/** A price, without what only the merchant should know. */
export function readQuote(reply: Uint8Array): Pick<Quote, "sku" | "price" | "list" | "lowest_30_days" | "reasons" | "valid_until"> {
  const from = body(reply, QUOTE);
  const money = (): number => from.signed();
  const [sku, price, list] = [from.text(), money(), money()];
  money(); // the floor
  from.optional(money); // the ceiling
  const lowest_30_days = money();
  from.optional(() => from.float()); // units
  from.optional(money); // margin
  from.optional(() => from.float()); // elasticity
  return { sku, price, list, lowest_30_days, reasons: from.list(() => readPriceReason(from)), valid_until: moment(from.signed()) };
}

/** What is remembered, for people. */
export function readProfile(profile: Uint8Array, at: number): Omit<ProfileExport, "bytes"> {
  const from = new Reader(profile);
  const orders = from.unsigned();
  from.unsigned(); // lines
  from.signed(); // the first order's day
  from.signed(); // the last one's
  const items = from.list(() => {
    const [sku, orders] = [from.text(), from.unsigned()];
    from.signed(); // first bought
    const last = from.signed();
    from.unsigned(); // the order's number
    for (let decayed = 0; decayed < 4; decayed++) from.float();
    const [attention, attended, dismissed] = [from.float(), from.signed(), from.byte() === 1];
    return {
      sku,
      orders,
      last_bought: orders ? date(last) : null,
      attention: attention * 2 ** (-Math.max(0, at - attended) / DAY),
      dismissed,
    };
  });
  if (!from.done) throw new RangeError("a profile has more in it than it should");
  return { orders, items };
}

/** What is in a reply to the wanted decision. */
function body(reply: Uint8Array, wanted: number): Reader {
  const from = new Reader(reply);
  const found = from.unsigned();
  if (found === wanted) return from;
  if (found === 0) throw new TradewindError("refused", `fault ${from.unsigned()}: ${from.text()}`);
  throw new TradewindError("module", `the module answered another question, with reply ${found}`);
}

function writeEvent(to: Writer, now: number, event: ShopperEvent): void {
  const line = ({ sku, quantity }: Line): unknown => to.text(sku).unsigned(quantity);
  /** The moment, the channel, which is the web, and what happened. */
  const kind = (number: number): Writer => to.signed(event.at ? Date.parse(event.at) : now).unsigned(0).unsigned(number);
  if ("view" in event) {
    kind(0).text(event.view.sku);
  } else if ("search" in event) {
    kind(1).text(event.search.query);
  } else if ("add_to_cart" in event) {
    kind(2);
    line(event.add_to_cart);
  } else if ("purchase" in event) {
    kind(3).list(event.purchase.lines, line);
  } else if ("return" in event) {
    kind(4);
    line(event.return);
  } else if ("impression" in event) {
    kind(5).list(event.impression.skus, (sku) => to.text(sku));
  } else if ("click" in event) {
    kind(6).text(event.click.sku);
  } else {
    kind(7).text(event.dismiss.sku);
  }
}

function readReason(from: Reader): Reason {
  const reads: (() => Reason)[] = [
    () => ({ bought_before: { orders: from.unsigned(), days_ago: from.unsigned() } }),
    () => ({ due_again: { every_days: from.unsigned() } }),
    () => "looked_at",
    () => ({ goes_with: { sku: from.text() } }),
    () => ({ popular: { orders_in_10000: from.unsigned() } }),
  ];
  return (reads[from.unsigned()] ?? unknown)();
}

const unknown = (): never => {
  throw new TradewindError("module", "the module gives a reason that this version does not know");
};

function readPriceReason(from: Reader): PriceReason {
  const plain = ["locked", "model_fault", "unchanged", "lowered", "raised", "stock_short", "stock_long"] as const;
  const bounds = ["floor", "minimum_advertised", "ceiling", "day_step", "week_step", "range"] as const;
  const known = plain[from.unsigned()];
  if (known) return known;
  return { held: bounds[from.unsigned()] ?? unknown() };
}

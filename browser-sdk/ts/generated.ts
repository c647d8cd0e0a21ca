/** Messages of the module that pages write or read. Generated from core/src by `cargo xtask bindings`. */

import type { Reader, Writer } from "./postcard.js";

/** Number of the decision `rank`. */
export const RANK = 3;

/** Number of the decision `quote`. */
export const QUOTE = 4;

/** Number of the decision `insight`. */
export const INSIGHT = 8;

/** Units of a product. */
export interface Line {
  /** SKU of the product. */
  sku: string;
  /** Number of units, at least 1. */
  quantity: number;
}

const writeLine = (to: Writer, it: Line): Writer =>
  to
    .text(it.sku)
    .unsigned(it.quantity);

/** Kind of an action. */
export type EventKind =
  /** The shopper opened a product's page. */
  | { view: { sku: string } }
  /** The shopper searched. A profile never keeps the words. */
  | { search: { query: string } }
  /** The shopper put units of a product into the cart. */
  | { add_to_cart: Line }
  /** The shopper placed an order. */
  | { purchase: { lines: Line[] } }
  /** The shopper returned units of a product. */
  | { return: Line }
  /** The shopper was shown products. */
  | { impression: { skus: string[] } }
  /** The shopper chose a product that was shown. */
  | { click: { sku: string } }
  /** The shopper asked not to see a product again. */
  | { dismiss: { sku: string } };

const writeEventKind = (to: Writer, it: EventKind): Writer =>
  "view" in it ? to.unsigned(0).text(it.view.sku)
  : "search" in it ? to.unsigned(1).text(it.search.query)
  : "add_to_cart" in it ? to.unsigned(2).message(it.add_to_cart, writeLine)
  : "purchase" in it ? to.unsigned(3).list(it.purchase.lines, writeLine)
  : "return" in it ? to.unsigned(4).message(it.return, writeLine)
  : "impression" in it ? to.unsigned(5).list(it.impression.skus, (to, it) => to.text(it))
  : "click" in it ? to.unsigned(6).text(it.click.sku)
  : to.unsigned(7).text(it.dismiss.sku);

/** Action of a shopper, with time and channel. */
export interface Event {
  /** Time of the action. */
  at: number;
  /** Kind of the action. */
  kind: EventKind;
}

const writeEvent = (to: Writer, it: Event): Writer =>
  to
    .signed(it.at)
    .unsigned(0)
    .message(it.kind, writeEventKind);

/** Set of products of a catalogue of `length`, one bit each. */
export interface SkuBits {
  length: number;
  bytes: Uint8Array;
}

const writeSkuBits = (to: Writer, it: SkuBits): Writer =>
  to
    .unsigned(it.length)
    .unsigned(it.bytes.length).raw(it.bytes);

/** Hard constraints of a ranking. */
export interface Constraints {
  /** Products to leave out, for example because they are in the cart. */
  exclude: string[];
  /** Available products (default: all). */
  available?: SkuBits | undefined;
  /** Maximum number of products of one category. */
  max_per_category?: number | undefined;
  /** Region to which the loaded snapshot must promise delivery. */
  deliverable_to?: string | undefined;
}

const writeConstraints = (to: Writer, it: Constraints): Writer =>
  to
    .list(it.exclude, (to, it) => to.text(it))
    .unsigned(0)
    .optional(it.available, writeSkuBits)
    .optional(it.max_per_category, (to, it) => to.unsigned(it))
    .optional(it.deliverable_to, (to, it) => to.text(it));

/** Request for ranked products. */
export interface RankRequest {
  /** Name of the ranking pack. */
  pack: string;
  /** Time of the decision. */
  at: number;
  /** Profile of the shopper, from the last reply; the default for an unknown shopper. */
  profile: Uint8Array;
  /** Actions of the shopper since then, in any order. */
  events: Event[];
  /** Products to rank (default: candidates of the pack). Products outside the catalogue are ignored. */
  candidates?: string[] | undefined;
  /** Hard constraints. */
  constraints: Constraints;
  /** Maximum number of products. */
  limit: number;
}

export const writeRankRequest = (to: Writer, it: RankRequest): Writer =>
  to
    .text(it.pack)
    .signed(it.at)
    .raw(it.profile)
    .list(it.events, writeEvent)
    .optional(it.candidates, (to, it) => to.list(it, (to, it) => to.text(it)))
    .message(it.constraints, writeConstraints)
    .unsigned(it.limit);

/** Reason for a ranked product: a fact about the shopper or the product. */
export type Reason =
  /** The shopper bought it in `orders` orders, the last time `days_ago` days ago. */
  | { bought_before: { orders: number; days_ago: number } }
  /** It is about time to buy it again: the shopper buys it every `every_days` days. */
  | { due_again: { every_days: number } }
  /** The shopper viewed it recently. */
  | "looked_at"
  /** It is often bought together with the product `sku`, which the shopper bought or viewed. */
  | { goes_with: { sku: string } }
  /** Of 10,000 orders in the last four weeks, `orders_in_10000` contained it. */
  | { popular: { orders_in_10000: number } };

const readReason = (from: Reader): Reason =>
  from.variant<Reason>(
    () => ({ bought_before: { orders: from.unsigned(), days_ago: from.unsigned() } }),
    () => ({ due_again: { every_days: from.unsigned() } }),
    "looked_at",
    () => ({ goes_with: { sku: from.text() } }),
    () => ({ popular: { orders_in_10000: from.unsigned() } }),
  );

/** Ranked product. */
export interface RankedItem {
  /** SKU of the product. */
  sku: string;
  /** Score of the model, comparable only within one ranking. */
  score: number;
  /** Reasons, never empty: actions of the shopper first, then those of others. */
  reasons: Reason[];
}

const readRankedItem = (from: Reader): RankedItem => ({
  sku: from.text(),
  score: from.float(),
  reasons: from.list(readReason),
});

/** Ranked products. */
export interface Ranking {
  /** Products, best first. */
  items: RankedItem[];
  /** Number of scored candidates. */
  considered: number;
  /** Profile of the shopper, including the request's events. */
  profile: Uint8Array;
}

export const readRanking = (from: Reader): Ranking => ({
  items: from.list(readRankedItem),
  considered: from.unsigned(),
  profile: from.rest(),
});

/** Goal of a price, as weights of which only the proportions count. */
export interface Objective {
  /** Weight of the earnings above cost. */
  margin: number;
  /** Weight of the revenue. */
  revenue: number;
  /** Weight of the units sold, each counted at the current price. */
  sell_through: number;
}

const writeObjective = (to: Writer, it: Objective): Writer =>
  to
    .unsigned(it.margin)
    .unsigned(it.revenue)
    .unsigned(it.sell_through);

/** Request for a price. */
export interface QuoteRequest {
  /** Root of the snapshot. */
  snapshot: Uint8Array;
  /** Time of the decision. */
  at: number;
  /** SKU of the product. */
  sku: string;
  /** Region in which it is offered. */
  region: string;
  /** Goal of the price. */
  objective: Objective;
}

export const writeQuoteRequest = (to: Writer, it: QuoteRequest): Writer =>
  to
    .unsigned(0)
    .raw(it.snapshot)
    .signed(it.at)
    .text(it.sku)
    .text(it.region)
    .message(it.objective, writeObjective);

/** Guard that limits a price. */
export type Bound =
  /** Lowest price, by cost or amount. */
  | "floor"
  /** Lowest price that may be advertised. */
  | "minimum_advertised"
  /** Highest price. */
  | "ceiling"
  /** Largest change in a day. */
  | "day_step"
  /** Largest change in a week. */
  | "week_step"
  /** Half the current price to twice the current price. */
  | "range";

const readBound = (from: Reader): Bound =>
  from.variant<Bound>(
    "floor",
    "minimum_advertised",
    "ceiling",
    "day_step",
    "week_step",
    "range",
  );

/** Reason for a price. */
export type PriceReason =
  /** The price is locked. */
  | "locked"
  /** The model gave no usable answer, or knows no sales of the product: the price stays. */
  | "model_fault"
  /** No allowed price serves the objective better than the current one. */
  | "unchanged"
  /** A lower price serves the objective better. */
  | "lowered"
  /** A higher price serves the objective better. */
  | "raised"
  /** Stock is short: there is no discount. */
  | "stock_short"
  /** Stock is long: units sold count more. */
  | "stock_long"
  /** A guard allows no price beyond this one. */
  | { held: Bound };

const readPriceReason = (from: Reader): PriceReason =>
  from.variant<PriceReason>(
    "locked",
    "model_fault",
    "unchanged",
    "lowered",
    "raised",
    "stock_short",
    "stock_long",
    () => ({ held: readBound(from) }),
  );

/** Price of a product. Amounts are in minor units of the snapshot's currency. */
export interface Quote {
  /** SKU of the product. */
  sku: string;
  /** Price of a unit. */
  price: number;
  /** List price. */
  list: number;
  /** Lowest price of the 30 days before this price began: the reference of a reduction in the EU. */
  lowest_30_days: number;
  /** Reasons for the price. */
  reasons: PriceReason[];
  /** Time until which the price holds: the end of the region's day, or of the snapshot. */
  valid_until: number;
}

export const readQuote = (from: Reader): Quote => ({
  sku: from.text(),
  price: from.signed(),
  list: from.signed(),
  lowest_30_days: (
    from.signed(), // floor
    from.optional(() => from.signed()), // ceiling
    from.signed()
  ),
  reasons: (
    from.optional(() => from.float()), // units
    from.optional(() => from.signed()), // margin
    from.optional(() => from.float()), // elasticity
    from.list(readPriceReason)
  ),
  valid_until: from.signed(),
});

/** Request for an insight. */
export interface InsightRequest {
  /** Name of the pack (default: the only insight that is loaded). */
  pack?: string | undefined;
  /** Time of the decision. */
  at: number;
  /** Profile of the shopper; the default for an unknown shopper, and for rows that are not about shoppers. */
  profile: Uint8Array;
  /** Products to include (default: all products known to the insight). Unknown products are ignored. */
  skus?: string[] | undefined;
  /** Texts to include. */
  texts: string[];
}

export const writeInsightRequest = (to: Writer, it: InsightRequest): Writer =>
  to
    .optional(it.pack, (to, it) => to.text(it))
    .signed(it.at)
    .raw(it.profile)
    .unsigned(0)
    .optional(it.skus, (to, it) => to.list(it, (to, it) => to.text(it)))
    .list(it.texts, (to, it) => to.text(it));

/** Subject of a row. */
export type Subject =
  /** Shopper of the request. */
  | "shopper"
  /** Product. */
  | { sku: string }
  /** Hour of the week, from Monday 00:00. */
  | { hour: number }
  /** Product at a node. */
  | { stock: [string, string] }
  /** Text, by its position in the request. */
  | { text: number };

const readSubject = (from: Reader): Subject =>
  from.variant<Subject>(
    "shopper",
    () => ({ sku: from.text() }),
    () => ({ hour: from.byte() }),
    () => ({ stock: [from.text(), from.text()] }),
    () => ({ text: from.unsigned() }),
  );

/** Quantiles of a distribution, for example of minutes or of units. */
export interface Quantiles {
  /** 10th percentile. */
  p10: number;
  /** Median. */
  p50: number;
  /** 90th percentile. */
  p90: number;
}

const readQuantiles = (from: Reader): Quantiles => ({
  p10: from.float(),
  p50: from.float(),
  p90: from.float(),
});

/** Result of a model. */
export type Value =
  /** Probability (0 to 1). */
  | { probability: number }
  /** Quantiles of an amount, in the pack's unit. */
  | { quantiles: Quantiles }
  /** Amount, in the pack's unit. */
  | { amount: number }
  /** Label of a class. */
  | { label: string }
  /** Score, comparable only within one reply. */
  | { score: number };

const readValue = (from: Reader): Value =>
  from.variant<Value>(
    () => ({ probability: from.float() }),
    () => ({ quantiles: readQuantiles(from) }),
    () => ({ amount: from.float() }),
    () => ({ label: from.text() }),
    () => ({ score: from.float() }),
  );

/** Fact given as a reason. */
export interface Fact {
  /** Source of the fact. */
  source: number;
  /** Value in the source's unit. */
  value: number;
}

const readFact = (from: Reader): Fact => ({
  source: from.byte(),
  value: from.float(),
});

/** Result for a row. */
export interface Insight {
  /** Subject of the row. */
  of: Subject;
  /** Value of the row. */
  value: Value;
  /** Facts given as reasons, in the order of the pack's rules. */
  evidence: Fact[];
}

const readInsight = (from: Reader): Insight => ({
  of: readSubject(from),
  value: readValue(from),
  evidence: from.list(readFact),
});

/** Result of an insight. */
export interface Insights {
  /** Name of the pack. */
  pack: string;
  /** Kept rows, greatest first. */
  items: Insight[];
  /** Total number of rows. */
  considered: number;
}

export const readInsights = (from: Reader): Insights => ({
  pack: from.text(),
  items: from.list(readInsight),
  considered: from.unsigned(),
});

/** Fault: the request was refused. */
export interface Fault {
  /** Code of the `ErrorKind`. */
  code: number;
  /** Message for people: fault, input and fix. */
  message: string;
}

export const readFault = (from: Reader): Fault => ({
  code: from.unsigned(),
  message: from.text(),
});

/** History of one product. */
export interface Interest {
  /** SKU of the product. */
  sku: string;
  /** Number of orders that contained it. */
  orders: number;
  /** Day it was last bought. */
  last: number;
  /** Weighted number of views, clicks and carts, as of `attended`; halves in `ATTENTION_HALF_LIFE`. */
  attention: number;
  /** Time it was last viewed, clicked or put into the cart. */
  attended: number;
  /** Whether the shopper asked not to see it. */
  dismissed: boolean;
}

const readInterest = (from: Reader): Interest => ({
  sku: from.text(),
  orders: from.unsigned(),
  last: (
    from.signed(), // first
    from.signed()
  ),
  attention: (
    from.unsigned(), // last_order
    from.list(() => from.float(), 3), // by_order
    from.float(), // by_day
    from.float()
  ),
  attended: from.signed(),
  dismissed: from.flag(),
});

/** History of a shopper, bounded and decaying: only what rankings need. */
export interface Profile {
  /** Number of orders. */
  orders: number;
  /** Products bought or viewed, in ascending order of SKU. */
  items: Interest[];
}

export const readProfile = (from: Reader): Profile => ({
  orders: from.unsigned(),
  items: (
    from.unsigned(), // lines
    from.signed(), // first
    from.signed(), // last
    from.list(readInterest)
  ),
});

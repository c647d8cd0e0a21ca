/** Messages of the module that pages write or read. Generated from core/src by `cargo xtask bindings`. */

import type { Reader, Writer } from "./postcard.js";

/** Number of the decision `rank`. */
export const RANK = 3;

/** Number of the decision `quote`. */
export const QUOTE = 4;

/** Number of the decision `insight`. */
export const INSIGHT = 8;

/** Quantity of a product. */
export interface Line {
  /** Product. */
  sku: string;
  /** Units (at least 1). */
  quantity: number;
}

const writeLine = (to: Writer, it: Line): Writer =>
  to
    .text(it.sku)
    .unsigned(it.quantity);

/** Kind of an event. */
export type EventKind =
  /** View of a product's page. */
  | { view: { sku: string } }
  /** Search. Its words are used only for the current request; a profile never stores them. */
  | { search: { query: string } }
  /** Addition to the cart. */
  | { add_to_cart: Line }
  /** Purchase: one event for each order, with any number of lines. */
  | { purchase: { lines: Line[] } }
  /** Return of units. */
  | { return: Line }
  /** Products that were displayed. */
  | { impression: { skus: string[] } }
  /** Click on a displayed product. */
  | { click: { sku: string } }
  /** Request not to see a product again. */
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

/** Action of a shopper. */
export interface Event {
  /** Moment of the event. */
  at: number;
  /** Kind of the event. */
  kind: EventKind;
}

const writeEvent = (to: Writer, it: Event): Writer =>
  to
    .signed(it.at)
    .unsigned(0)
    .message(it.kind, writeEventKind);

/** Product similar to that of a `ProductRow`. */
export interface SimilarProduct {
  /** Product. */
  sku: string;
  /** Cosine similarity of the two products' buyers (0 to 1). */
  similarity: number;
}

const writeSimilarProduct = (to: Writer, it: SimilarProduct): Writer =>
  to
    .text(it.sku)
    .float(it.similarity);

/** Facts about a product outside a pack's tables. */
export interface ProductRow {
  /** Product. */
  sku: string;
  /** Its category. */
  category: string;
  /** Share of all orders that contain it (0 to 1). */
  popularity: number;
  /** Share of the last four weeks' orders that contain it (0 to 1). */
  recent_popularity: number;
  /** Share of its buyers who bought it again (0 to 1). */
  repeat_rate: number;
  /** Median number of days between purchases of the same shopper; absent if nobody bought it twice. */
  gap_days?: number | undefined;
  /** Similar products. */
  neighbours: SimilarProduct[];
  /** Regions to which it can be delivered. */
  regions: string[];
}

const writeProductRow = (to: Writer, it: ProductRow): Writer =>
  to
    .text(it.sku)
    .text(it.category)
    .float(it.popularity)
    .float(it.recent_popularity)
    .float(it.repeat_rate)
    .optional(it.gap_days, (to, it) => to.float(it))
    .list(it.neighbours, writeSimilarProduct)
    .list(it.regions, (to, it) => to.text(it));

/** Set of products of a catalogue of `length`, one bit each. */
export interface SkuBits {
  length: number;
  bytes: Uint8Array;
}

const writeSkuBits = (to: Writer, it: SkuBits): Writer =>
  to
    .unsigned(it.length)
    .unsigned(it.bytes.length).raw(it.bytes);

/** Constraints on a ranking. */
export interface Constraints {
  /** Excluded products, for example those in the cart. */
  exclude: string[];
  /** Available products of the pack's tables; all products if absent. */
  available?: SkuBits | undefined;
  /** Maximum number of products of one category. */
  max_per_category?: number | undefined;
  /** Region to which the loaded snapshot must promise delivery of each product; a row names its regions itself. */
  deliverable_to?: string | undefined;
}

const writeConstraints = (to: Writer, it: Constraints): Writer =>
  to
    .list(it.exclude, (to, it) => to.text(it))
    .unsigned(0)
    .optional(it.available, writeSkuBits)
    .optional(it.max_per_category, (to, it) => to.unsigned(it))
    .optional(it.deliverable_to, (to, it) => to.text(it));

/** Asks for products for a shopper. */
export interface RankRequest {
  /** Name of the ranking pack. */
  pack: string;
  /** Moment of the decision. */
  at: number;
  /** Profile of the shopper from the last reply; the default for a new shopper. */
  profile: Uint8Array;
  /** Events since then, in any order. */
  events: Event[];
  /** Limits the ranking to these products; products outside the catalogue are ignored. */
  candidates?: string[] | undefined;
  /** Products outside the pack's tables, which thereby become known. */
  rows: ProductRow[];
  /** Constraints on the reply. */
  constraints: Constraints;
  /** Maximum number of products in the reply. */
  limit: number;
}

export const writeRankRequest = (to: Writer, it: RankRequest): Writer =>
  to
    .text(it.pack)
    .signed(it.at)
    .raw(it.profile)
    .list(it.events, writeEvent)
    .optional(it.candidates, (to, it) => to.list(it, (to, it) => to.text(it)))
    .list(it.rows, writeProductRow)
    .message(it.constraints, writeConstraints)
    .unsigned(it.limit);

/** Fact about the shopper or the product that supports the recommendation. */
export type Reason =
  /** The shopper bought it in `orders` orders, the last time `days_ago` days ago. */
  | { bought_before: { orders: number; days_ago: number } }
  /** The shopper is due to buy it again. */
  | { due_again: { every_days: number } }
  /** The shopper viewed it recently. */
  | "looked_at"
  /** Its buyers often buy a product that the shopper bought or viewed. */
  | { goes_with: { sku: string } }
  /** The product is popular. */
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
  /** Product. */
  sku: string;
  /** Score of the model: comparable within one reply only. */
  score: number;
  /** Reasons: actions of the shopper first, then of others. */
  reasons: Reason[];
}

const readRankedItem = (from: Reader): RankedItem => ({
  sku: from.text(),
  score: from.float(),
  reasons: from.list(readReason),
});

/** Answer to a `RankRequest`. */
export interface Ranking {
  /** Products, best first. */
  items: RankedItem[];
  /** Number of candidates scored. */
  considered: number;
  /** Profile of the shopper, updated with the request's events. */
  profile: Uint8Array;
}

export const readRanking = (from: Reader): Ranking => ({
  items: from.list(readRankedItem),
  considered: from.unsigned(),
  profile: from.rest(),
});

/** Objective of a price, as weights; only their proportions matter. */
export interface Objective {
  /** Weight of the margin: revenue minus cost. */
  margin: number;
  /** Weight of the revenue. */
  revenue: number;
  /** Weight of units sold, each valued at the current price. */
  sell_through: number;
}

const writeObjective = (to: Writer, it: Objective): Writer =>
  to
    .unsigned(it.margin)
    .unsigned(it.revenue)
    .unsigned(it.sell_through);

/** Asks for the price of a product. */
export interface QuoteRequest {
  /** Root of the snapshot from which the price is computed. */
  snapshot: Uint8Array;
  /** Moment of the decision. */
  at: number;
  /** Product. */
  sku: string;
  /** Region in which it is offered. */
  region: string;
  /** Objective of the price. */
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
  /** Twice or half the current price: no computed price leaves this range. */
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
  /** The model failed, or the product has no sales, so the price is not changed. */
  | "model_fault"
  /** No allowed price serves the objective better than the current one. */
  | "unchanged"
  /** A lower price serves the objective better. */
  | "lowered"
  /** A higher price serves the objective better. */
  | "raised"
  /** Stock is low, so there is no discount. */
  | "stock_short"
  /** Stock is in excess, so selling units is worth more. */
  | "stock_long"
  /** The price is at the limit of this guard. */
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

/** Answer to a `QuoteRequest`. */
export interface Quote {
  /** Product. */
  sku: string;
  /** Price. */
  price: number;
  /** List price. */
  list: number;
  /** Lowest price of the 30 days before this price began. */
  lowest_30_days: number;
  /** Reasons for the price. */
  reasons: PriceReason[];
  /** Moment at which the price expires: the end of the region's day, or of the snapshot. */
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

/** Asks for an insight. */
export interface InsightRequest {
  /** Name of the pack; `None` for the only insight loaded. */
  pack?: string | undefined;
  /** Moment of the decision. */
  at: number;
  /** Profile of the shopper; the default for a new shopper, and for rows that are not about shoppers. */
  profile: Uint8Array;
  /** Limits the rows to these products; unknown products are skipped. */
  skus?: string[] | undefined;
  /** Texts, one for each row. */
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
  /** Text, by its index in the request. */
  | { text: number };

const readSubject = (from: Reader): Subject =>
  from.variant<Subject>(
    "shopper",
    () => ({ sku: from.text() }),
    () => ({ hour: from.byte() }),
    () => ({ stock: [from.text(), from.text()] }),
    () => ({ text: from.unsigned() }),
  );

/** P10, P50 and P90 of a distribution of minutes or units. */
export interface Quantiles {
  /** 10 % of values are below this. */
  p10: number;
  /** Half of all values are below this. */
  p50: number;
  /** 90 % of values are below this. */
  p90: number;
}

const readQuantiles = (from: Reader): Quantiles => ({
  p10: from.float(),
  p50: from.float(),
  p90: from.float(),
});

/** Value that a model computes. */
export type Value =
  /** Probability (0 to 1). */
  | { probability: number }
  /** Quantiles of an amount, in the pack's unit. */
  | { quantiles: Quantiles }
  /** Amount, in the pack's unit. */
  | { amount: number }
  /** Label. */
  | { label: string }
  /** Score: comparable within one reply only. */
  | { score: number };

const readValue = (from: Reader): Value =>
  from.variant<Value>(
    () => ({ probability: from.float() }),
    () => ({ quantiles: readQuantiles(from) }),
    () => ({ amount: from.float() }),
    () => ({ label: from.text() }),
    () => ({ score: from.float() }),
  );

/** Fact about a row. */
export interface Fact {
  /** Source of the fact, one of those in `models/FEATURES.md`. */
  source: number;
  /** Value, in the source's unit. */
  value: number;
}

const readFact = (from: Reader): Fact => ({
  source: from.byte(),
  value: from.float(),
});

/** Answer of a model for a row. */
export interface Insight {
  /** Subject of the row. */
  of: Subject;
  /** Value for the row. */
  value: Value;
  /** Facts shown as reasons, in the order of the pack's rules. */
  evidence: Fact[];
}

const readInsight = (from: Reader): Insight => ({
  of: readSubject(from),
  value: readValue(from),
  evidence: from.list(readFact),
});

/** Answer to an `InsightRequest`. */
export interface Insights {
  /** Name of the pack that answered. */
  pack: string;
  /** Rows that the pack keeps, greatest value first. */
  items: Insight[];
  /** Number of rows evaluated. */
  considered: number;
}

export const readInsights = (from: Reader): Insights => ({
  pack: from.text(),
  items: from.list(readInsight),
  considered: from.unsigned(),
});

/** Error reply. */
export interface Fault {
  /** Code of an `ErrorKind`. */
  code: number;
  /** The error, the input that caused it, and the fix. */
  message: string;
}

export const readFault = (from: Reader): Fault => ({
  code: from.unsigned(),
  message: from.text(),
});

/** Facts remembered of one product. */
export interface Interest {
  /** Product. */
  sku: string;
  /** Number of orders that contained it. */
  orders: number;
  /** Day of its last purchase. */
  last: number;
  /** Weighted views, clicks and additions to the cart, with a half-life of a day; as of `attended`. */
  attention: number;
  /** Moment of the last view, click or addition to the cart. */
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

/** History of a shopper, bounded and decaying: only what the features of a ranking need. */
export interface Profile {
  /** Number of orders. */
  orders: number;
  /** Products bought or viewed, ascending by SKU. */
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

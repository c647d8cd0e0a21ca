/** What goes in and comes out: the shapes of the edge's API, `/v1/rank` and `/v1/quote`. Moments are RFC 3339. */

/** Whether a profile may be kept on this device. */
export type Consent = "granted" | "denied";

/** Units of a product. */
export interface Line {
  sku: string;
  quantity: number;
}

/** Something that the shopper did, and when, in RFC 3339: now, where nothing else is said. */
export type ShopperEvent = Happened & { at?: string | undefined };

/** What a shopper can do. */
export type Happened =
  | { view: { sku: string } }
  | { click: { sku: string } }
  | { dismiss: { sku: string } }
  | { search: { query: string } }
  | { impression: { skus: string[] } }
  | { add_to_cart: Line }
  | { return: Line }
  | { purchase: { lines: Line[] } };

/** Which products? The profile of this device is added, where there is one. */
export interface RankRequest {
  /** How many products are wanted. */
  limit: number;
  /** Rank these only. */
  candidates?: string[] | undefined;
  /** Not these, for example because they are in the cart. */
  exclude?: string[] | undefined;
  /** At most so many products of one category. */
  max_per_category?: number | undefined;
  /** Only what can be delivered to this region; the one of the page by default. */
  region?: string | undefined;
}

/** A ranked product. */
export interface RankedItem {
  sku: string;
  /** The model's score: comparable within one ranking only. */
  score: number;
  /** Why it is here; never empty. `sentence` says it in words. */
  reasons: Reason[];
}

/** Why a product is in a ranking: facts that the model was shown. */
export type Reason =
  /** The shopper bought it in so many orders, the last time so many days ago. */
  | { bought_before: { orders: number; days_ago: number } }
  /** It is about time to buy it again, as every so many days. */
  | { due_again: { every_days: number } }
  /** The shopper looked at it lately. */
  | "looked_at"
  /** Those who buy it often buy this product, which the shopper bought or looked at. */
  | { goes_with: { sku: string } }
  /** Of 10,000 orders in the last four weeks, so many contained it. */
  | { popular: { orders_in_10000: number } };

/** Ranked products, best first. */
export interface Ranking {
  items: RankedItem[];
  /** How many candidates were scored. */
  considered: number;
  /** Milliseconds that the module took. */
  took: number;
}

/** At what price? */
export interface QuoteRequest {
  sku: string;
  /** Where it is offered; the region of the page by default. */
  region?: string | undefined;
  /** What the price is for, as weights; the configuration's by default. */
  objective?: Objective | undefined;
}

/** What a price is for, as weights; only their proportions count. */
export interface Objective {
  margin?: number;
  revenue?: number;
  sell_through?: number;
}

/** Why a price is what it is. `held`: the guard allows none beyond. */
export type PriceReason =
  | "locked"
  | "model_fault"
  | "unchanged"
  | "lowered"
  | "raised"
  | "stock_short"
  | "stock_long"
  | { held: "floor" | "minimum_advertised" | "ceiling" | "day_step" | "week_step" | "range" };

/** A price. Amounts are in minor units of the currency, for example cents. */
export interface Quote {
  sku: string;
  currency: string;
  price: number;
  list: number;
  /** The lowest price of the 30 days before this price began: what a reduction is compared with in the EU. */
  lowest_30_days: number;
  reasons: PriceReason[];
  /** The moment for which it was computed. */
  at: string;
  /** Until when it holds. */
  valid_until: string;
  /** The root of the snapshot that it was computed from: with `at`, a backend can compute it again. */
  snapshot: string;
  /** Where it was computed: in this page, or at the edge. */
  by: "device" | "edge";
}

/** When a product arrives. */
export interface Delivery {
  min_days: number;
  max_days: number;
  /** The first day on which it may arrive, in the region: a date such as `2017-12-06`. */
  from: string;
  /** The last day. */
  to: string;
}

/** What everyone may know of a product. Amounts are in minor units. */
export interface ListedProduct {
  sku: string;
  currency: string;
  price: number;
  list: number;
  /** The lowest price of the 30 days before this price began. */
  lowest_30_days: number;
  /** `null` where it is not delivered, or no region is known. */
  delivery: Delivery | null;
}

/** A profile as people read it. */
export interface ProfileExport {
  /** Orders placed. */
  orders: number;
  items: {
    sku: string;
    /** Orders that contained it. */
    orders: number;
    /** The day it was last bought: a date. */
    last_bought: string | null;
    /** How much it was looked at; halves in a day. */
    attention: number;
    /** The shopper asked not to see it. */
    dismissed: boolean;
  }[];
  /** All of it, as it is stored: base64. */
  bytes: string;
}

/** A digest and whose it is. */
export interface Digest {
  /** Name and version. */
  name: string;
  /** SHA-256 in hexadecimal digits: of the file for the module, else the root that names it. */
  digest: string;
}

/** What is loaded. */
export interface Loaded {
  module: Digest;
  packs: Digest[];
  snapshot: Digest | null;
  /** Milliseconds that each part took. */
  timings: { fetch: number; compile: number; verify: number; instantiate: number; total: number };
}

/** A decision that can be made again, by `tradewind replay` too: digests and bytes in hexadecimal digits. */
export interface Receipt {
  module: string;
  packs: string[];
  snapshot: string | null;
  request_digest: string;
  reply_digest: string;
  request: string;
  reply: string;
}

/** What the edge hands over to the page, in `<script id="tradewind-handover">`: bytes are base64. */
export interface Handover {
  region: string;
  slots: { slot: string; request: string; reply: string }[];
  quotes: { sku: string; request: string; quote: Omit<Quote, "by"> }[];
}

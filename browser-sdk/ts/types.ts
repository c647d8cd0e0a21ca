/** Requests and results: the shapes of the edge's API, `/v1/rank` and `/v1/quote`. Times are text in RFC 3339. */

import type * as wire from "./generated.js";

export type { Line, PriceReason, RankedItem, Reason } from "./generated.js";

/** Whether a profile may be kept on this device. */
export type Consent = "granted" | "denied";

/** Action of a shopper, and its time (default: now). */
export type ShopperEvent = Happened & { at?: string | undefined };

/** Action of a shopper. */
export type Happened = wire.EventKind;

/** Request for ranked products. The profile on this device is added, if there is one. */
export interface RankRequest {
  /** Maximum number of products. */
  limit: number;
  /** Products to rank (default: candidates of the pack). */
  candidates?: string[] | undefined;
  /** Products to leave out, for example because they are in the cart. */
  exclude?: string[] | undefined;
  /** Maximum number of products of one category. */
  max_per_category?: number | undefined;
  /** Region to which delivery must be possible (default: the page's region). */
  region?: string | undefined;
}

/** Ranked products. */
export interface Ranking extends Omit<wire.Ranking, "profile"> {
  /** Milliseconds that the module took. */
  took: number;
}

/** Request for a price. */
export interface QuoteRequest {
  /** SKU of the product. */
  sku: string;
  /** Region in which it is offered (default: the page's region). */
  region?: string | undefined;
  /** Goal of the price (default: that of the configuration). */
  objective?: Objective | undefined;
}

/** Goal of a price, as weights of which only the proportions count. The default of each is 0. */
export interface Objective extends Partial<wire.Objective> {}

/** Price of a product. Amounts are in minor units of the currency, for example cents. */
export interface Quote extends Omit<wire.Quote, "valid_until"> {
  /** Code of ISO 4217. */
  currency: string;
  /** Time for which it was computed. */
  at: string;
  /** Time until which it holds: the end of the region's day, or of the snapshot. */
  valid_until: string;
  /** Root of the snapshot from which it was computed: with `at`, a backend can compute it again. */
  snapshot: string;
  /** Where it was computed: in this page, or at the edge. */
  by: "device" | "edge";
}

/** Days on which a product arrives. */
export interface Delivery {
  min_days: number;
  max_days: number;
  /** First day on which it may arrive, in the region: a date such as `2017-12-06`. */
  from: string;
  /** Last day. */
  to: string;
}

/** Public facts about a product. Amounts are in minor units. */
export interface ListedProduct extends Pick<wire.Quote, "sku" | "price" | "list" | "lowest_30_days"> {
  /** Code of ISO 4217. */
  currency: string;
  /** `null` if it is not delivered, or the region is unknown. */
  delivery: Delivery | null;
}

/** Texts of a product. */
export interface ProductText {
  title: string;
  url: string;
  category: string;
}

/** Profile in readable form. */
export interface ProfileExport extends Pick<wire.Profile, "orders"> {
  items: (Pick<wire.Interest, "sku" | "orders" | "dismissed"> & {
    /** Date it was last bought. */
    last_bought: string | null;
    /** Weighted number of views, clicks and carts; halves in a day. */
    attention: number;
  })[];
  /** Whole profile as it is stored, in base64. */
  bytes: string;
}

/** Name and digest of a file. */
export interface Digest {
  /** Name and version. */
  name: string;
  /** SHA-256 in hexadecimal digits: of the file for the module, otherwise the root. */
  digest: string;
}

/** Loaded files. */
export interface Loaded {
  module: Digest;
  packs: Digest[];
  snapshot: Digest | null;
  /** Milliseconds that each part took. */
  timings: { fetch: number; compile: number; verify: number; instantiate: number; total: number };
}

/** Record of a decision that can be repeated, also by `tradewind replay`: digests and bytes in hexadecimal digits. */
export interface Receipt {
  module: string;
  packs: string[];
  snapshot: string | null;
  request_digest: string;
  reply_digest: string;
  request: string;
  reply: string;
}

/** Product outside the page's slice: the facts with which the page ranks and shows it. Amounts are in minor units. */
export interface HandedProduct {
  row: Omit<wire.ProductRow, "gap_days"> & { gap_days: number | null };
  text: ProductText;
  list: number;
  price: number;
  lowest_30_days: number;
  /** Minimum and maximum days to delivery; `null` if it is not delivered to the region. */
  days: [number, number] | null;
  /** Time until which prices and days hold. */
  until: string;
}

/** Data of the edge for the page, in `<script id="tradewind-handover">`: bytes are in base64. */
export interface Handover {
  region: string;
  slots: { slot: string; request: string; reply: string }[];
  quotes: { sku: string; request: string; quote: Omit<Quote, "by"> }[];
  /** The page's products and their neighbours, if pages load slices. */
  products?: HandedProduct[];
}

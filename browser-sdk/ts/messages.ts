/** Messages of the module, in the form in which the runtime needs them; `generated.ts` has their encoding. */

import { TradewindError } from "./error.js";
import * as wire from "./generated.js";
import { Reader, Writer } from "./postcard.js";
import { DAY, date, moment } from "./time.js";
import type { HandedProduct, Objective, ProfileExport, Quote, RankRequest, ShopperEvent } from "./types.js";

/** Profile of an unknown shopper. */
const NOBODY = new Uint8Array(5);

/** Insight request without what the runtime adds. */
export type Question = Omit<wire.InsightRequest, "at" | "profile">;

/** Set of products, by their positions in a catalogue of `length`. */
export function bits(length: number, positions: Iterable<number>): wire.SkuBits {
  const bytes = new Uint8Array(Math.ceil(length / 8));
  for (const position of positions) bytes[position >> 3] = (bytes[position >> 3] ?? 0) | (1 << (position % 8));
  return { length, bytes };
}

/** Request for a ranking. The default of `available` is all products. */
export function rankRequest(
  pack: string,
  at: number,
  request: RankRequest,
  profile: Uint8Array = NOBODY,
  events: readonly ShopperEvent[] = [],
  available?: wire.SkuBits,
  products: Iterable<HandedProduct> = [],
): Uint8Array<ArrayBuffer> {
  const valid = ({ until }: HandedProduct): boolean => at < Date.parse(until);
  return wire.writeRankRequest(new Writer().unsigned(wire.RANK), {
    ...request,
    pack,
    at,
    profile,
    events: events.map((kind) => ({ at: kind.at ? Date.parse(kind.at) : at, kind })),
    rows: Array.from(products, (product) => ({
      ...product.row,
      gap_days: product.row.gap_days ?? undefined,
      // What is outdated is known, but not shown.
      regions: valid(product) ? product.row.regions : [],
    })),
    constraints: { ...request, exclude: request.exclude ?? [], available, deliverable_to: request.region },
  }).bytes;
}

/** Request for a price, from the snapshot of a root. */
export function quoteRequest(
  snapshot: Uint8Array,
  at: number,
  sku: string,
  region: string,
  { margin = 0, revenue = 0, sell_through = 0 }: Objective,
): Uint8Array<ArrayBuffer> {
  const objective = { margin, revenue, sell_through };
  return wire.writeQuoteRequest(new Writer().unsigned(wire.QUOTE), { snapshot, at, sku, region, objective }).bytes;
}

/** Request for an insight. */
export function insightRequest(at: number, question: Question, profile: Uint8Array = NOBODY): Uint8Array<ArrayBuffer> {
  return wire.writeInsightRequest(new Writer().unsigned(wire.INSIGHT), { ...question, at, profile }).bytes;
}

/** Ranking, with the encoded profile. */
export const readRanking = (reply: Uint8Array): wire.Ranking => wire.readRanking(answer(reply, wire.RANK));

/** Price. */
export function readQuote(reply: Uint8Array): Omit<wire.Quote, "valid_until"> & Pick<Quote, "valid_until"> {
  const quote = wire.readQuote(answer(reply, wire.QUOTE));
  return { ...quote, valid_until: moment(quote.valid_until) };
}

/** Profile, for people. */
export function readProfile(profile: Uint8Array, at: number): Omit<ProfileExport, "bytes"> {
  const from = new Reader(profile);
  const { orders, items } = wire.readProfile(from);
  if (!from.done) throw new RangeError("bytes follow the profile");
  return {
    orders,
    items: items.map(({ sku, orders, last, attention, attended, dismissed }) => ({
      sku,
      orders,
      last_bought: orders ? date(last) : null,
      attention: attention * 2 ** (-Math.max(0, at - attended) / DAY),
      dismissed,
    })),
  };
}

/** Returns the answer in a reply to a decision. */
function answer(reply: Uint8Array, decision: number): Reader {
  const from = new Reader(reply);
  const found = from.unsigned();
  if (found === decision) return from;
  if (found) throw new TradewindError("module", `unexpected reply ${found} of the module`);
  const { code, message } = wire.readFault(from);
  throw new TradewindError("refused", `fault ${code}: ${message}`);
}

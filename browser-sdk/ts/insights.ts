/**
 * Insights: what models say of the shopper, of products or of texts, and why; computed on this device.
 *
 * A module of its own, which only pages that ask insights load: `import { insight } from "tradewind/insights"`.
 *
 * @packageDocumentation
 */

import { say, type Tradewind, TradewindError } from "./index.js";
import { Reader, Writer } from "./postcard.js";
import { type SourceName, sources } from "./sources.js";
import type { Words } from "./words.js";

export type { SourceName };

/** The number of the decision. */
const INSIGHT = 8;

/** What does an insight say? What its rows have no use for must be left out. */
export interface InsightRequest {
  /** The name of the pack; may be absent where one insight is loaded. */
  pack?: string | undefined;
  /** These products only; all that the insight knows of otherwise. */
  skus?: string[] | undefined;
  /** The texts. */
  texts?: string[] | undefined;
}

/** A fact that is a reason. */
export interface Evidence {
  source: SourceName;
  /** In the source's unit. */
  value: number;
  /** It in the pack's words, in the page's language or else in English; `null` where the pack has none. */
  text: string | null;
}

/** What a row is about. */
export type Subject =
  | { of: "shopper" }
  | { of: "product"; sku: string }
  /** An hour of the week, from Monday 00:00. */
  | { of: "hour"; hour: number }
  | { of: "stock"; sku: string; node: string }
  /** A text, by its place in the request. */
  | { of: "text"; text: number };

/** What a model says: a probability is 0 to 1, an amount is in the pack's unit, a score compares rows of one reply. */
export type Value =
  | { probability: number }
  | { quantiles: { p10: number; p50: number; p90: number } }
  | { amount: number }
  | { label: string }
  | { score: number };

/** What a model says of a row. */
export type Insight = Subject & Value & { evidence: Evidence[] };

/** The rows that are kept, greatest first. */
export interface Insights {
  pack: string;
  items: Insight[];
  /** How many rows there were. */
  considered: number;
}

/**
 * Asks an insight, for the profile of this device where there is one. Nothing of it leaves the device.
 *
 * Fails with a {@link TradewindError}: `input` for what cannot be asked, `refused` where the module says no.
 */
export async function insight(tradewind: Tradewind, request: InsightRequest = {}): Promise<Insights> {
  check(request);
  const { pack, skus, texts = [] } = request;
  const text = (to: Writer) => (value: string): unknown => to.text(value);
  const before = new Writer().unsigned(INSIGHT);
  before.optional(pack, text(before)).signed(tradewind.now);
  // No events: the profile has them.
  const after = new Writer().unsigned(0);
  after.optional(skus, (skus) => after.list(skus, text(after))).list(texts, text(after));
  const { reply, words } = await tradewind.ask(before.bytes, after.bytes);
  return read(reply, words, tradewind.locale);
}

function check(request: InsightRequest): void {
  const { pack = "", skus = [], texts = [], ...other } = request;
  const [extra] = Object.keys(other);
  const isTexts = (list: unknown): boolean => Array.isArray(list) && list.every((text) => typeof text === "string");
  if (extra) throw new TradewindError("input", `the request has an unknown field \`${extra}\`; it takes pack, skus, texts`);
  if (typeof pack !== "string" || !isTexts(skus) || !isTexts(texts)) {
    throw new TradewindError("input", "`pack` needs a text, `skus` and `texts` need lists of texts");
  }
}

function read(reply: Uint8Array, all: Record<string, Uint8Array>, locale: string): Insights {
  const from = new Reader(reply);
  const found = from.unsigned();
  if (found === 0) throw new TradewindError("refused", `fault ${from.unsigned()}: ${from.text()}`);
  if (found !== INSIGHT) throw new TradewindError("module", `the module answered another question, with reply ${found}`);
  const pack = from.text();
  const json = all[pack];
  const words: Words = json?.length ? JSON.parse(new TextDecoder().decode(json)) : {};
  const fact: Say = (source, value) => say(words, locale, source, { value });
  const items = from.list(() => ({ ...readSubject(from), ...readValue(from), evidence: from.list(() => readFact(from, fact)) }));
  return { pack, items, considered: from.unsigned() };
}

function readSubject(from: Reader): Subject {
  switch (from.unsigned()) {
    case 0:
      return { of: "shopper" };
    case 1:
      return { of: "product", sku: from.text() };
    case 2:
      return { of: "hour", hour: from.byte() };
    case 3:
      return { of: "stock", sku: from.text(), node: from.text() };
    case 4:
      return { of: "text", text: from.unsigned() };
    default:
      throw unknown("a row");
  }
}

function readValue(from: Reader): Value {
  const number = (): number => from.float();
  switch (from.unsigned()) {
    case 0:
      return { probability: number() };
    case 1:
      return { quantiles: { p10: number(), p50: number(), p90: number() } };
    case 2:
      return { amount: number() };
    case 3:
      return { label: from.text() };
    case 4:
      return { score: number() };
    default:
      throw unknown("a value");
  }
}

type Say = (source: SourceName, value: number) => string | null;

function readFact(from: Reader, fact: Say): Evidence {
  const source = (sources as Record<number, SourceName>)[from.byte()];
  if (!source) throw unknown("a fact");
  const value = from.float();
  return { source, value, text: fact(source, value) };
}

const unknown = (what: string): TradewindError =>
  new TradewindError("module", `the module says ${what} that this version does not know`);

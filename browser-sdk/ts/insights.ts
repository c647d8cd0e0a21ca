/**
 * Insights: answers of models about the shopper, products or texts, with evidence; computed on this device.
 *
 * A separate module, loaded only by pages that use insights: `import { insight } from "tradewind/insights"`.
 *
 * @packageDocumentation
 */

import { say, type Tradewind, TradewindError } from "./index.js";
import { Reader, Writer } from "./postcard.js";
import { type SourceName, sources } from "./sources.js";
import type { Words } from "./words.js";

export type { SourceName };

/** Number of the decision. */
const INSIGHT = 8;

/** Request of an insight. Fields that its rows do not use must be absent. */
export interface InsightRequest {
  /** Name of the pack; optional if only one insight is loaded. */
  pack?: string | undefined;
  /** Products to include (default: all products known to the insight). */
  skus?: string[] | undefined;
  /** Texts. */
  texts?: string[] | undefined;
}

/** Fact given as a reason. */
export interface Evidence {
  source: SourceName;
  /** Value in the source's unit. */
  value: number;
  /** Text in the pack's words, in the page's language or English; `null` if the pack has none. */
  text: string | null;
}

/** Subject of a row. */
export type Subject =
  | { of: "shopper" }
  | { of: "product"; sku: string }
  /** Hour of the week, from Monday 00:00. */
  | { of: "hour"; hour: number }
  | { of: "stock"; sku: string; node: string }
  /** Text, by its position in the request. */
  | { of: "text"; text: number };

/** Result of a model: a probability is 0 to 1, an amount is in the pack's unit, a score compares rows of one reply. */
export type Value =
  | { probability: number }
  | { quantiles: { p10: number; p50: number; p90: number } }
  | { amount: number }
  | { label: string }
  | { score: number };

/** Result for a row. */
export type Insight = Subject & Value & { evidence: Evidence[] };

/** Kept rows, greatest first. */
export interface Insights {
  pack: string;
  items: Insight[];
  /** Total number of rows. */
  considered: number;
}

/**
 * Runs an insight model, for the profile on this device if one exists. No data leave the device.
 *
 * Fails with a {@link TradewindError}: `input` for an invalid request, `refused` if the module refuses it.
 */
export async function insight(tradewind: Tradewind, request: InsightRequest = {}): Promise<Insights> {
  check(request);
  const { pack, skus, texts = [] } = request;
  const text = (to: Writer) => (value: string): unknown => to.text(value);
  const before = new Writer().unsigned(INSIGHT);
  before.optional(pack, text(before)).signed(tradewind.now);
  // No events, because the profile contains them.
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
  if (found !== INSIGHT) throw new TradewindError("module", `unexpected reply ${found} of the module`);
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

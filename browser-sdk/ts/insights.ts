/**
 * Insights: answers of models about the shopper, products or texts, with evidence; computed on this device.
 *
 * A separate module, loaded only by pages that use insights: `import { insight } from "tradewind/insights"`.
 *
 * @packageDocumentation
 */

import type * as wire from "./generated.js";
import { INSIGHT, readFault, readInsights, type Value } from "./generated.js";
import { say, type Tradewind, TradewindError } from "./index.js";
import { Reader } from "./postcard.js";
import { type SourceName, sources } from "./sources.js";
import type { Words } from "./words.js";

export type { SourceName, Value };

/** Request of an insight. Fields that its rows do not use must be absent. */
export interface InsightRequest extends Pick<wire.InsightRequest, "pack" | "skus"> {
  /** Texts to include. */
  texts?: string[] | undefined;
}

/** Fact given as a reason. */
export interface Evidence extends Omit<wire.Fact, "source"> {
  source: SourceName;
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

/** Result for a row. */
export type Insight = Subject & Value & { evidence: Evidence[] };

/** Result of an insight. */
export interface Insights extends Omit<wire.Insights, "items"> {
  /** Kept rows, greatest first. */
  items: Insight[];
}

/**
 * Runs an insight model, for the profile on this device if one exists. No data leave the device.
 *
 * Fails with a {@link TradewindError}: `input` for an invalid request, `refused` if the module refuses it.
 */
export async function insight(tradewind: Tradewind, request: InsightRequest = {}): Promise<Insights> {
  check(request);
  const { reply, words } = await tradewind.ask({ ...request, texts: request.texts ?? [] });
  try {
    return read(reply, words, tradewind.locale);
  } catch (error) {
    throw TradewindError.of(error, "module");
  }
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
  if (found === 0) {
    const { code, message } = readFault(from);
    throw new TradewindError("refused", `fault ${code}: ${message}`);
  }
  if (found !== INSIGHT) throw new TradewindError("module", `unexpected reply ${found} of the module`);
  const { pack, items, considered } = readInsights(from);
  const json = all[pack];
  const words: Words = json?.length ? JSON.parse(new TextDecoder().decode(json)) : {};
  const evidence = ({ source: number, value }: wire.Fact): Evidence => {
    const source = (sources as Record<number, SourceName>)[number];
    if (!source) throw new TradewindError("module", `unknown source ${number} in a reply of the module`);
    return { source, value, text: say(words, locale, source, { value }) };
  };
  return {
    pack,
    items: items.map((item) => ({ ...subject(item.of), ...item.value, evidence: item.evidence.map(evidence) })),
    considered,
  };
}

function subject(of: wire.Subject): Subject {
  if (of === "shopper") return { of };
  if ("sku" in of) return { of: "product", ...of };
  if ("hour" in of) return { of: "hour", ...of };
  if ("stock" in of) return { of: "stock", sku: of.stock[0], node: of.stock[1] };
  return { of: "text", ...of };
}

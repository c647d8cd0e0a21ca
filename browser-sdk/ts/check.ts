/** Run-time checks of a page's calls, for pages without TypeScript. */

import { TradewindError } from "./error.js";

type Check = (value: unknown, name: string) => void;

const fail = (what: string): never => {
  throw new TradewindError("input", what);
};

const text: Check = (value, name) => {
  if (typeof value !== "string" || !value) fail(`\`${name}\` needs a text`);
};

const upTo =
  (most: number): Check =>
  (value, name) => {
    if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > most) {
      fail(`\`${name}\` needs a whole number from 0 to ${most}`);
    }
  };

const list =
  (check: Check): Check =>
  (value, name) => {
    if (!Array.isArray(value)) fail(`\`${name}\` needs a list`);
    for (const one of value as unknown[]) check(one, name);
  };

/** Object with exactly these fields; those with `?` are optional. */
const fields = (known: Record<string, Check>): Check => {
  const names = Object.keys(known).map((name) => name.replace("?", ""));
  return (value, name) => {
    if (typeof value !== "object" || value === null) return fail(`\`${name}\` needs an object`);
    const found = value as Record<string, unknown>;
    const extra = Object.keys(found).find((key) => !names.includes(key));
    if (extra) fail(`\`${name}\` has an unknown field \`${extra}\`; it takes ${names.join(", ")}`);
    for (const [key, check] of Object.entries(known)) {
      const field = key.replace("?", "");
      if (found[field] !== undefined || field === key) check(found[field], field);
    }
  };
};

const u16 = upTo(65_535);
const sku = fields({ sku: text });
const line = fields({ sku: text, quantity: upTo(4_294_967_295) });
const kinds: Record<string, Check> = {
  view: sku,
  click: sku,
  dismiss: sku,
  search: fields({ query: text }),
  impression: fields({ skus: list(text) }),
  add_to_cart: line,
  return: line,
  purchase: fields({ lines: list(line) }),
};

export const checkRank = (request: object): void =>
  fields({ limit: u16, "candidates?": list(text), "exclude?": list(text), "max_per_category?": u16, "region?": text })(
    request,
    "the request",
  );

export const checkQuote = (request: object): void =>
  fields({ sku: text, region: text, objective: fields({ "margin?": u16, "revenue?": u16, "sell_through?": u16 }) })(
    request,
    "the request",
  );

export const checkEvent = (event: object, now: number): void => {
  const { at, ...happened } = event as { at?: unknown };
  const [kind, ...more] = Object.keys(happened);
  const check = kinds[kind ?? ""];
  if (!check || more.length) return fail(`an event needs exactly one of ${Object.keys(kinds).join(", ")}`);
  check(Object.values(happened)[0], kind as string);
  if (at !== undefined && !(typeof at === "string" && Date.parse(at) >= 0 && Date.parse(at) <= now)) {
    fail(`\`at\` needs RFC 3339, and no moment after ${new Date(now).toISOString()}, which counts as now`);
  }
};

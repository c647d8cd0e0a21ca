/** Amounts, days and reasons as people read them: by `Intl`, as the edge does, so that both write the same. */

import type { Delivery, PriceReason } from "./types.js";

const REASONS: Record<string, string> = {
  locked: "this price is fixed for now",
  model_fault: "the usual price",
  unchanged: "no other price is better",
  lowered: "a lower price serves more shoppers",
  raised: "the price is higher than it was",
  stock_short: "only little is left, so there is no discount",
  stock_long: "there is plenty, so it costs less",
  floor: "it cannot go lower",
  minimum_advertised: "the maker sets the lowest price that may be shown",
  ceiling: "it never costs more than this",
  day_step: "prices move little in a day",
  week_step: "prices move little in a week",
  range: "prices move little at a time",
};

/** Why a price is what it is, in a few words. Nothing in it is about the shopper. */
export function priceReason(reason: PriceReason): string {
  const key = typeof reason === "string" ? reason : reason.held;
  return REASONS[key] ?? key;
}

/** Currencies by the digits of their minor unit, where these are not two: `Currency::digits` in the core. */
const DIGITS: Record<number, string> = {
  0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
  3: "BHD IQD JOD KWD LYD OMR TND",
  4: "CLF UYW",
};

/** An amount of minor units: `$1.99`. The digits are those of ISO 4217, whatever `Intl` shows of a currency by itself. */
export function money(amount: number, currency: string, locale: string): string {
  const digits = [0, 3, 4].find((digits) => DIGITS[digits]?.includes(currency)) ?? 2;
  const [minimumFractionDigits, maximumFractionDigits] = [digits, digits];
  const format = new Intl.NumberFormat(locale, { style: "currency", currency, minimumFractionDigits, maximumFractionDigits });
  return format.format(amount / 10 ** digits);
}

/** The days on which a product arrives: `Dec 6 – 8`. */
export function delivery({ from, to }: Delivery, locale: string): string {
  const format = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric", timeZone: "UTC" });
  return format.formatRange(new Date(from), new Date(to));
}

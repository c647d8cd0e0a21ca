/** Amounts, days and codes as people read them: by `Intl`, as the edge does, so that both write the same. */

import en from "../../core/json/src/words/shop.en.json" with { type: "json" };
import type { Delivery, PriceReason, Reason } from "./types.js";

/** Texts by form, by code, by language: `tradewind_json::Words`. */
export type Words = Record<string, Record<string, Record<string, string>>>;

/** What a text can name in braces. */
type Fields = Record<string, string | number>;

/**
 * Says a code in the language that is nearest. The form is chosen by the first field that the form `other` names: a number
 * by itself (`=0`) or its plural form, a text by itself. A field that is a code of its own is said in that code's words.
 */
export function say(words: Words, locale: string, code: string, fields: Fields = {}, within = false): string | null {
  const language = [locale, locale.split("-")[0] ?? "", "en"].find((language) => words[language]);
  const forms = language && words[language]?.[code];
  if (!forms) return null;
  const digits = { maximumFractionDigits: 1 };
  const format = new Intl.NumberFormat(locale.startsWith(language) ? locale : language, digits);
  const shown = (field: string | number = ""): string => (typeof field === "number" ? format.format(field) : field);
  const by = fields[/\{(\w+)\}/.exec(forms["other"] ?? "")?.[1] ?? ""];
  const keys = typeof by === "number" ? [`=${shown(by)}`, new Intl.PluralRules(language, digits).select(by)] : [shown(by)];
  const text = forms[keys.find((key) => Object.hasOwn(forms, key)) ?? "other"] ?? "";
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const own = within || name === code ? null : say(words, locale, name, fields, true);
    return own ?? shown(fields[name]);
  });
}

/**
 * Why a product is ranked where it is, or a price what it is, in a few words. `name` gives the name of a product that they
 * speak of; its SKU is said without.
 */
export function sentence(reason: Reason | PriceReason, locale: string, name = (sku: string): string => sku): string {
  const [code = "", value] = typeof reason === "string" ? [reason] : (Object.entries(reason)[0] ?? []);
  const fields: Fields = typeof value === "object" ? { ...value } : { [code]: value ?? "" };
  if (fields["sku"]) fields["sku"] = name(`${fields["sku"]}`);
  return say(shop, locale, code, fields) ?? code;
}

/** The words for reasons; those of other languages than English come with `learn`. */
const shop: Words = { en };

/** Takes in the words of a language. */
export const learn = (language: string, texts: Words[string]): void => {
  shop[language] = texts;
};

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

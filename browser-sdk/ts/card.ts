/**
 * Cards: HTML of products in slots, from the configuration's `card`, in which `{name}` is replaced by an escaped value.
 */

import { TradewindError } from "./error.js";

const NAMES = ["sku", "title", "url", "category", "price", "list", "delivery", "reason"] as const;

/** Values of a card's fields. */
export type CardValues = Record<(typeof NAMES)[number], string>;

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Elements with raw text, or with attributes that are unsafe for fields. */
const REFUSED =
  "script,style,textarea,title,iframe,noscript,noembed,noframes,xmp,plaintext,meta,link,base,object,embed,applet";
/** Attributes that are code or style, or become an address by animation. */
const CODE = /^(on.*|style|srcdoc|values|to|from|by)$/;
/** Attributes that contain an address. */
const ADDRESS = /(href|src|srcset|action|poster|background|ping)$/;
/** Text after which the target of an address is fixed. */
const FIXED = /^(https?:)?(\/\/[^/?#\\]+|(?!\/\/)[^:/?#\\]*)[/?#](?!\\)/i;

/** Reads a template. */
export function card(template: string): (values: CardValues) => string {
  const parts = template.split(/\{([^}]*)\}/);
  for (let n = 1; n < parts.length; n += 2) {
    if (!NAMES.includes(parts[n] as keyof CardValues)) {
      const known = NAMES.map((name) => `{${name}}`).join(" ");
      throw new TradewindError("config", `\`card\` has the unknown field \`{${parts[n]}}\` (expected ${known})`);
    }
  }
  for (let n = 1; n < parts.length; n += 2) {
    const where = misplaced(parts, n);
    if (where) {
      const what = "put it into text or a quoted attribute; addresses begin with `{url}`";
      throw new TradewindError("config", `\`card\` has \`{${parts[n]}}\` in ${where}; ${what}`);
    }
  }
  return (values) =>
    parts.map((part, n) => (n % 2 ? escaped(values[part as keyof CardValues]) : part)).join("");
}

/** Escapes text for HTML. */
export const escaped = (text: string): string => text.replace(/[&<>"']/g, (letter) => ENTITIES[letter] ?? letter);

/** Marker for a field during the check: two words, which are split if quotes are missing. */
const mark = (n: number): string => `tw-${n}-a tw-b`;

/** Where escaping a field would be unsafe, according to the browser's parser; `undefined` if nowhere. */
function misplaced(parts: string[], field: number): string | undefined {
  const parsed = document.createElement("template");
  parsed.innerHTML = parts.map((part, n) => (n % 2 ? mark(n) : part)).join("");
  const is = (text: string | null, what = `tw-${field}-a`): boolean => text?.includes(what) === true;
  const nodes = document.createTreeWalker(parsed.content);
  for (let node = nodes.nextNode(); node; node = nodes.nextNode()) {
    const inside = (node instanceof Element ? node : node.parentElement)?.closest(REFUSED)?.localName;
    const refused = inside && quoted(inside);
    if (is(node.nodeValue)) return node instanceof Text ? refused : "a comment";
    if (is(node.nodeName.toLowerCase())) return node instanceof Element ? "the name of a tag" : "a comment";
    if (!(node instanceof Element)) continue;
    for (const { name, value } of node.attributes) {
      if (is(value, mark(field))) {
        if (CODE.test(name)) return quoted(name);
        if (refused) return refused;
        return ADDRESS.test(name) && !leads(value, parts) ? quoted(name) : undefined;
      }
      if (is(value)) return "an attribute without quotes";
      if (is(name)) return "the name of an attribute";
    }
  }
  // The parser drops attributes of end tags and duplicate attributes.
  const [, second] = /([\w:-]+)\s*=\s*["'][^"']*$/.exec(parts.slice(0, field).join("")) ?? [];
  return second ? quoted(second) : "the name of a tag";
}

const quoted = (name: string): string => `\`${name}\``;

/** Whether an address begins with `{url}`, or with text that fixes its target. */
function leads(value: string, parts: string[]): boolean {
  // Browsers ignore these characters.
  const [before, first] = value.replace(/^[\0- ]+|[\t\n\r]/g, "").split(/tw-(\d+)-a /);
  return before ? FIXED.test(before) : parts[Number(first)] === "url";
}

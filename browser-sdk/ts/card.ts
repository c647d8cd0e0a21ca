/** A product in a slot: the HTML of the configuration's `card`, in which `{name}` stands for an escaped value. */

import { TradewindError } from "./error.js";

const NAMES = ["sku", "title", "url", "category", "price", "list", "delivery", "reason"] as const;

/** What a card can say. */
export type CardValues = Record<(typeof NAMES)[number], string>;

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Reads a template. */
export function card(template: string): (values: CardValues) => string {
  const parts = template.split(/\{([^}]*)\}/);
  for (let n = 1; n < parts.length; n += 2) {
    if (!NAMES.includes(parts[n] as keyof CardValues)) {
      const known = NAMES.map((name) => `{${name}}`).join(" ");
      throw new TradewindError("config", `\`card\` has \`{${parts[n]}}\`, which is none of ${known}`);
    }
  }
  return (values) =>
    parts.map((part, n) => (n % 2 ? escaped(values[part as keyof CardValues]) : part)).join("");
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, (letter) => ENTITIES[letter] ?? letter);

/** Products that slots may show: texts and links. */

import { TradewindError } from "./error.js";
import { type Alive, json, type Pinned } from "./files.js";
import type { ProductText } from "./types.js";

/** Texts by SKU. */
export type Texts = Record<string, ProductText>;

/** Fetches the products; products without a valid link are skipped and passed to `failed`. */
export async function products(
  { url, integrity }: Pinned,
  alive: Alive,
  failed: (error: TradewindError) => void,
): Promise<Texts> {
  const texts = await json<Texts>(url, alive, integrity);
  let refused: string | undefined;
  for (const [sku, text] of Object.entries(texts)) {
    if (isPage(text?.url)) continue;
    refused ??= `\`products\` gives \`${sku}\` the address \`${text?.url}\`, which is no page's`;
    delete texts[sku];
  }
  if (refused) failed(new TradewindError("config", refused));
  return texts;
}

/** Whether an address is http or https. */
export function isPage(url: unknown): boolean {
  try {
    const { protocol, hostname } = new URL(String(url), document.baseURI);
    // Chromium accepts invalid hosts, and escapes their invalid characters.
    return typeof url === "string" && /^https?:$/.test(protocol) && !hostname.includes("%");
  } catch {
    return false;
  }
}

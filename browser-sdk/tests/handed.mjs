// Pages as the edge in its mode *edge* hands them over.
import { startShop } from "../storefront/server.mjs";
import { filled, open } from "./chromium.mjs";

const base64 = (hex) => Buffer.from(hex, "hex").toString("base64");

/** A ranking with its bytes and cards, as an edge has them. */
export async function rankedAtTheEdge(chromium) {
  const shop = await startShop();
  const page = await chromium.page();
  await open(page, shop.url);
  await filled(page, "for-you");
  const html = await page.$eval("tradewind-slot[name=for-you] > [slot=tradewind]", (slot) => slot.innerHTML);
  const { receipt, items } = await page.evaluate(async () => {
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    const tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json" });
    return tradewind.rank({ limit: 8 }, { receipt: true });
  });
  await page.done();
  await shop.close();
  return { receipt, html, skus: items.map(({ sku }) => sku) };
}

/** The script with what the edge decided: the slot `for-you`, and prices of 995242. */
export function handover({ receipt }, quoted = {}, region = "ORD") {
  const quote = {
    sku: "995242",
    currency: "USD",
    price: 177,
    list: 189,
    lowest_30_days: 169,
    reasons: ["lowered"],
    at: "2017-12-04T14:00:00Z",
    valid_until: "2017-12-05T06:00:00Z",
    snapshot: receipt.snapshot,
    ...quoted,
  };
  const json = {
    region,
    slots: [{ slot: "for-you", request: base64(receipt.request), reply: base64(receipt.reply) }],
    quotes: [{ sku: quote.sku, request: "", quote }],
  };
  return `<script type="application/tradewind" id="tradewind-handover">${JSON.stringify(json)}</script>`;
}

/** The slot `for-you` filled in place of what the origin has in it. */
export const inPlace = (page, html) =>
  page.replace(
    /(<tradewind-slot name="for-you"[^>]*)>[\s\S]*?<\/tradewind-slot\s*>/,
    (_, tag) => `${tag} data-tradewind="edge">${html}</tradewind-slot>`,
  );

/** The slot `for-you` filled beside what the origin has in it: it has the attribute `hydrate`. */
export const beside = (page, html) =>
  page.replace(
    /(<tradewind-slot name="for-you"[^>]*)>([\s\S]*?)<\/tradewind-slot\s*>/,
    (_, tag, own) =>
      `${tag} data-tradewind="edge"><template shadowrootmode="open"><slot name="tradewind"><slot></slot></slot></template>` +
      `${own}<!--/$--><slot slot="tradewind">${html}</slot></tradewind-slot>`,
  );

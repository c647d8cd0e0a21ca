// The edge's ranking is kept: the page does not rank again without new data.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { startShop } from "../storefront/server.mjs";
import { card, dist, filled, open, skus, startChromium } from "./chromium.mjs";
import { handover, inPlace, rankedAtTheEdge } from "./handed.mjs";

let chromium;
before(async () => (chromium = await startChromium()));
after(() => chromium?.close());

/** The page as an edge in its mode *edge* changes it. */
const edge = (ranked, quoted, region) => (page) =>
  inPlace(page, ranked.html).replace("</body>", `${handover(ranked, quoted, region)}</body>`);

test("the page keeps the edge's ranking, reports it, and computes the same bytes", async () => {
  const ranked = await rankedAtTheEdge(chromium);
  const shop = await startShop({ change: edge(ranked) });
  const page = await chromium.page();
  await page.addInitScript(() => {
    globalThis.changes = 0;
    addEventListener("DOMContentLoaded", () => {
      const slot = document.querySelector("tradewind-slot[name=for-you]");
      new MutationObserver((changes) => (globalThis.changes += changes.length)).observe(slot, { childList: true, subtree: true });
    });
  });
  await open(page, shop.url);
  await filled(page, "discover");
  const state = await page.evaluate(async () => {
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    const tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json" });
    return { changes: globalThis.changes, same: await tradewind.replay("for-you"), quote: await tradewind.quote({ sku: "995242" }) };
  });
  assert.equal(state.changes, 0, "the slot was filled again");
  assert.equal(state.same, true, "the page's module gives other bytes");
  const { by, price, at, reasons } = state.quote;
  assert.deepEqual({ by, price, at, reasons }, { by: "edge", price: 177, at: "2017-12-04T14:00:00Z", reasons: ["lowered"] });
  assert.equal(await page.getAttribute("tradewind-slot[name=for-you]", "data-tradewind"), "edge");
  assert.deepEqual(await skus(page, "for-you"), ranked.skus);
  assert.equal(new Set([...(await skus(page, "for-you")), ...(await skus(page, "discover"))]).size, 12);

  // Something new is ranked in the page.
  await page.click("[data-consent]");
  await page.waitForSelector(".panel[data-state=granted]");
  await page.click(`${card(1)} [data-do=dismiss]`);
  await filled(page, "for-you");
  assert.ok(!(await skus(page, "for-you")).includes(ranked.skus[0]));
  assert.deepEqual(page.faults, []);
  await page.done();
  await shop.close();
});

test("a slot is reported once, when it comes into view", async () => {
  const shop = await startShop();
  const page = await chromium.page({ viewport: { width: 1360, height: 700 } });
  // A separate page, so that the listener exists before the elements.
  await page.route("**/bare", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<!doctype html><html data-tradewind-region="ORD"><tradewind-slot name="top" limit="3" style="display:block;height:300px">own</tradewind-slot>
        <div style="height:3000px"></div><tradewind-slot name="deep" limit="3" style="display:block;height:300px">own</tradewind-slot>`,
    }),
  );
  await page.goto(`${shop.url}/bare`);
  await page.evaluate(async () => {
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    globalThis.seen = [];
    const tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json" });
    tradewind.on("exposure", ({ slot, by, skus }) => globalThis.seen.push([slot, by, skus.length]));
  });
  await page.waitForFunction(() => globalThis.seen.length === 1);
  assert.deepEqual(await page.evaluate(() => globalThis.seen), [["top", "device", 3]]);
  await page.$eval("tradewind-slot[name=deep]", (slot) => slot.scrollIntoView());
  await page.waitForFunction(() => globalThis.seen.length === 2);
  assert.deepEqual((await page.evaluate(() => globalThis.seen))[1], ["deep", "device", 3]);
  await page.done();
  await shop.close();
});

test("receipts name the input of the decision", async () => {
  const { receipt } = await rankedAtTheEdge(chromium);
  const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
  assert.equal(receipt.module, digest(readFileSync(dist("tradewind.wasm"))));
  assert.equal(receipt.request_digest, digest(Buffer.from(receipt.request, "hex")));
  assert.equal(receipt.reply_digest, digest(Buffer.from(receipt.reply, "hex")));
  assert.equal(receipt.packs.length, 2);
});

// The demo shop in Chromium: what a shopper sees.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { startShop } from "../storefront/server.mjs";
import { dist, filled, open, skus, startChromium } from "./chromium.mjs";

let chromium;
let shop;
before(async () => {
  mkdirSync(dist("demo"), { recursive: true });
  [chromium, shop] = await Promise.all([startChromium(), startShop()]);
});
after(() => Promise.all([chromium?.close(), shop?.close()]));

const shot = (page, name) => page.screenshot({ path: dist(`demo/${name}.png`) });

for (const run of ["worker", "page"]) {
  test(`slots are ranked and change with what the shopper does, in the ${run}`, async () => {
    const page = await chromium.page();
    await open(page, `${shop.url}/?run=${run}`);
    await filled(page, "for-you");
    const stranger = await skus(page, "for-you");
    assert.equal(stranger.length, 8);
    assert.equal(new Set([...stranger, ...(await skus(page, "discover"))]).size, 12, "a product is shown twice");
    const reasons = await page.$$eval("tradewind-slot .card-reason", (all) => all.map((reason) => reason.textContent));
    assert.ok(reasons.every((reason) => reason.length > 5), `${reasons}`);
    if (run === "worker") await shot(page, "1-shop-stranger");

    await page.click("[data-consent]");
    await page.waitForSelector(".panel[data-state=granted]");
    await page.click("tradewind-slot[name=for-you] .card:nth-child(3) [data-do=look]");
    await page.waitForSelector("dialog [data-why] li");
    if (run === "worker") await shot(page, "2-quick-look");
    await page.click("dialog [data-do=add]");
    await page.waitForSelector("[data-profile] li");
    await page.waitForFunction(
      (before) => [...document.querySelectorAll("tradewind-slot[name=for-you] [data-sku]")].map((card) => card.dataset.sku).join() !== before,
      stranger.join(),
    );
    const known = await skus(page, "for-you");
    assert.equal(known.length, 8);
    await page.waitForFunction(() => /looked at lately|goes with/.test(document.querySelector("tradewind-slot").textContent));
    if (run === "worker") await shot(page, "3-shop-known");

    const [unwanted] = await skus(page, "for-you");
    await page.click("tradewind-slot[name=for-you] .card:first-child [data-do=dismiss]");
    await page.waitForFunction((sku) => !document.querySelector(`tradewind-slot [data-sku="${sku}"]`), unwanted);
    assert.deepEqual(page.faults, []);
    await page.done();
  });
}

// The demo shop in Chromium, from a shopper's view.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { startShop } from "../storefront/server.mjs";
import { card, dist, filled, open, shows, skus, startChromium } from "./chromium.mjs";

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
    const reasons = await page.$$eval("tradewind-slot .card-reason:visible", (all) => all.map((reason) => reason.textContent));
    assert.ok(reasons.every((reason) => reason.length > 5), `${reasons}`);
    if (run === "worker") await shot(page, "1-shop-stranger");

    await page.click("[data-consent]");
    await page.waitForSelector(".panel[data-state=granted]");
    await page.click(`${card(3)} [data-do=look]`);
    await page.waitForSelector("dialog [data-why] li");
    if (run === "worker") await shot(page, "2-quick-look");
    await page.click("dialog [data-do=add]");
    await page.waitForSelector("[data-profile] li");
    await shows(page, "for-you", stranger);
    const known = await skus(page, "for-you");
    assert.equal(known.length, 8);
    await page.waitForFunction(() => /viewed recently|goes with/.test(document.querySelector("tradewind-slot").innerText));
    if (run === "worker") await shot(page, "3-shop-known");

    const [unwanted] = await skus(page, "for-you");
    await page.click(`${card(1)} [data-do=dismiss]`);
    await page.waitForSelector(`tradewind-slot [data-sku="${unwanted}"]:visible`, { state: "detached" });
    assert.deepEqual(page.faults, []);
    await page.done();
  });
}

test("a real household's orders can be replayed, and forgotten", async () => {
  const page = await chromium.page();
  await open(page, shop.url);
  await filled(page, "for-you");
  const stranger = await skus(page, "for-you");
  const [, household] = await page.$$eval("[data-shopper] option", (options) => options.map(({ value }) => value));
  await page.selectOption("[data-shopper]", household);
  await page.waitForFunction(() => /among the first/.test(document.querySelector("[data-replayed]").textContent));
  assert.match(await page.textContent("[data-profile-text]"), /^\d+ products, \d+ orders, \d+ bytes$/);
  await page.waitForFunction(() => /bought (once|\d)/.test(document.querySelector("tradewind-slot[name=for-you]").innerText));
  const known = await skus(page, "for-you");
  assert.notDeepEqual(known, stranger);
  await shot(page, "household");
  await page.selectOption("[data-shopper]", "");
  await page.waitForFunction(() => document.querySelector("[data-profile-text]").textContent === "empty");
  await shows(page, "for-you", stranger, { again: true });
  assert.deepEqual(page.faults, []);
  await page.done();
});

test("nothing in the shop moves while it is ranked and priced", async () => {
  const page = await chromium.page();
  await page.addInitScript(() => {
    globalThis.shifts = [];
    new PerformanceObserver((list) => {
      for (const { value, sources } of list.getEntries()) {
        // The panel grows with what it shows; the shop's content must not move.
        const moved = sources.filter(({ node }) => !node?.parentElement?.closest(".panel"));
        if (moved.length) globalThis.shifts.push({ value, nodes: moved.map(({ node }) => node?.outerHTML) });
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
  for (const path of ["/", "/product/1082185", "/category/Dairy"]) {
    await open(page, shop.url + path);
    await page.waitForSelector("tradewind-slot[data-tradewind=device]");
    await page.evaluate(() => globalThis.scrollTo(0, 600));
    await page.evaluate(async () => {
      const { Tradewind } = await import("/tradewind/sdk/index.js");
      const tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json", consent: "granted" });
      await tradewind.track({ add_to_cart: { sku: "916122", quantity: 1 } });
      await tradewind.profile.export();
    });
    await page.waitForTimeout(300);
    assert.deepEqual(await page.evaluate(() => globalThis.shifts), [], path);
  }
  await page.done();
});

test("a price has reasons, and the delivery date depends on the region", async () => {
  const page = await chromium.page();
  await open(page, `${shop.url}/product/1082185`);
  await page.waitForSelector("tradewind-price[data-tradewind=device]");
  const why = await page.textContent("[data-why]");
  assert.match(why, /computed on this device, from nothing about you/);
  assert.match(why, /lowest price of the 30 days before it began: \$\d\.\d\d/);
  const here = await page.textContent("[data-delivery]");
  assert.match(here, /^Arrives Dec \d+ – \d+, in \d to \d days$/);
  await shot(page, "4-product");

  await page.selectOption("select[name=code]", "SEA");
  await Promise.all([page.waitForNavigation(), page.click(".place button")]);
  await page.waitForSelector("html[data-tradewind]");
  assert.equal(await page.getAttribute("html", "data-tradewind-region"), "SEA");
  assert.notEqual(await page.textContent("[data-delivery]"), here);
  assert.deepEqual(page.faults, []);
  await page.done();
});

/** A warehouse that answers as `tradewind serve` does; for what the real one would do, see the demo's tests. */
async function startWarehouse(answers) {
  const asked = [];
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    asked.push({ path: request.url, key: request.headers.authorization, idempotency: request.headers["idempotency-key"], body: JSON.parse(text) });
    const [status, body] = answers(request.url, JSON.parse(text));
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return { url: `http://127.0.0.1:${server.address().port}`, asked, close: () => server.close() };
}

/** Puts two products into the cart and checks out. */
async function buy(page, url) {
  await open(page, `${url}/product/1082185`);
  await page.click("[data-consent]");
  await page.waitForSelector(".panel[data-state=granted]");
  for (const units of [1, 2]) {
    await page.click(".product [data-do=add]");
    await page.waitForFunction((units) => document.querySelector("[data-cart-count]").textContent === String(units), units);
  }
  await open(page, `${url}/product/995242`);
  await page.click(".product [data-do=add]");
  await page.waitForFunction(() => document.querySelector("[data-cart-count]").textContent === "3");
  await open(page, `${url}/cart`);
  await page.waitForSelector("[data-cart-lines] tr");
}

test("the checkout verifies quoted prices, orders, and the order becomes part of the profile", async () => {
  const warehouse = await startWarehouse((path, body) => (path === "/v1/orders" ? [202, { id: body.id }] : [200, {}]));
  const market = await startShop({ warehouse: { url: warehouse.url, key: "secret" } });
  const page = await chromium.page();
  await buy(page, market.url);
  await shot(page, "5-cart");
  await page.click("[data-cart-form] [type=submit], [data-cart-form] button:not([type])");
  await page.waitForSelector("[data-ordered=yes]");
  await shot(page, "6-ordered");
  const [verify, order] = [warehouse.asked.filter(({ path }) => path === "/v1/quotes/verify"), warehouse.asked.at(-1)];
  assert.ok(warehouse.asked.every(({ key }) => key === "Bearer secret"));
  assert.deepEqual(Object.keys(verify[0].body).sort(), ["at", "price", "region", "sku", "snapshot"]);
  assert.equal(verify[0].body.snapshot.length, 64);
  const ordered = Object.fromEntries(order.body.lines.map(({ sku, quantity }) => [sku, quantity]));
  assert.deepEqual(ordered, { 1082185: 2, 995242: 1 });
  assert.match(order.body.promised, /^2017-12-\d\d$/);
  assert.equal(order.idempotency, order.body.id);
  await page.waitForFunction(() => /1 order,/.test(document.querySelector("[data-profile-text]")?.textContent));
  assert.equal(await page.evaluate(() => localStorage.getItem("cart")), null);
  await page.done();
  await Promise.all([market.close(), warehouse.close()]);
});

test("a price that the warehouse does not honour is not ordered, and without a warehouse the shop says so", async () => {
  const refusal = "the cart has price 1, the quote was 100; request a new price";
  const warehouse = await startWarehouse((path) => (path === "/v1/quotes/verify" ? [409, { detail: refusal }] : [202, {}]));
  const market = await startShop({ warehouse: { url: warehouse.url, key: "secret" } });
  const page = await chromium.page();
  await buy(page, market.url);
  await page.click("[data-cart-form] button:not([type])");
  await page.waitForSelector("[data-ordered=no]");
  assert.match(await page.textContent("main"), /the quote was 100/);
  assert.ok(warehouse.asked.every(({ path }) => path === "/v1/quotes/verify"), "it was ordered all the same");
  await page.done();
  await Promise.all([market.close(), warehouse.close()]);

  const alone = await chromium.page();
  await buy(alone, shop.url);
  await alone.click("[data-cart-form] button:not([type])");
  await alone.waitForSelector("[data-ordered=no]");
  assert.match(await alone.textContent("main"), /No warehouse is configured/);
  await alone.done();
});

test("the shop works on a small screen, and is accessible", async () => {
  const page = await chromium.page({ viewport: { width: 390, height: 844 } });
  await open(page, shop.url);
  await filled(page, "for-you");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false, "the page is wider than the screen");
  await shot(page, "7-phone");
  const unnamed = await page.$$eval("button, a, select, input:not([type=hidden])", (all) =>
    all.filter((it) => !(it.textContent.trim() || it.getAttribute("aria-label") || it.labels?.length)).map((it) => it.outerHTML),
  );
  assert.deepEqual(unnamed, []);
  assert.equal(await page.$$eval("h1", (all) => all.length), 1);
  await page.done();
});

// Data that leave the page, and data stored on the device.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startShop } from "../storefront/server.mjs";
import { card, filled, open, shows, skus, startChromium } from "./chromium.mjs";

let chromium;
let shop;
before(async () => {
  [chromium, shop] = await Promise.all([startChromium(), startShop()]);
});
after(() => Promise.all([chromium?.close(), shop?.close()]));

const databases = (page) => page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));

/** A session on the same pages: what is done there is `act`'s. Returns every request that was made. */
async function session(act) {
  chromium.taken();
  const page = await chromium.page();
  for (const path of ["/", "/category/Fruit", "/product/1082185"]) {
    await open(page, shop.url + path);
    await page.waitForSelector("tradewind-slot[data-tradewind]");
    await act(page, path);
    await page.waitForTimeout(300);
  }
  assert.deepEqual(page.faults, []);
  await page.done();
  return chromium.taken();
}

async function fond(page, path) {
  if (path === "/") {
    await page.click("[data-consent]");
    await page.waitForSelector(".panel[data-state=granted]");
    for (const n of [2, 4, 5]) {
      await page.click(`${card(n)} [data-do=look]`);
      await page.waitForSelector("[data-profile] li");
      await page.click("dialog [data-do=add]");
      await page.waitForTimeout(200);
    }
    await page.click(`${card(1)} [data-do=dismiss]`);
  }
  if (path.startsWith("/product")) await page.click(".product [data-do=add]");
}

test("only static files are requested, and the same ones for any behaviour before the checkout", async () => {
  const indifferent = await session(async () => {});
  const interested = await session(fond);
  const other = await session(async (page, path) => {
    if (path !== "/") return;
    await page.click("[data-consent]");
    await page.waitForSelector(".panel[data-state=granted]");
    await page.click(`${card(7)} [data-do=look]`);
    await page.waitForSelector("[data-profile] li");
    await page.click("dialog [data-close]");
  });

  const seen = (requests) => requests.map(({ method, url, cookie, body }) => [method, url, cookie, body].join(" ")).sort();
  assert.ok(interested.length >= 19, `only ${interested.length} requests were recorded`);
  assert.ok(interested.some(({ url }) => url.endsWith("/tradewind/recommend.pack")), "the worker's requests are not seen");
  assert.deepEqual(seen(interested), seen(indifferent));
  assert.deepEqual(seen(other), seen(indifferent));
  for (const { method, url, cookie, body } of interested) {
    const { hostname, pathname, search } = new URL(url);
    assert.equal(hostname, "127.0.0.1", url);
    assert.deepEqual([method, search, cookie, body], ["GET", "", "", ""], url);
    assert.match(pathname, /^\/($|category\/|product\/)|\.(css|js|json|svg|wasm|pack|snapshot)$/, url);
  }
});

test("nothing is stored before consent, or after it is withdrawn", async () => {
  const page = await chromium.page();
  await open(page, shop.url);
  await filled(page, "for-you");
  const stranger = await skus(page, "for-you");
  await page.click(`${card(2)} [data-do=look]`);
  await page.waitForSelector("dialog [data-why] li");
  await page.click("dialog [data-close]");
  await page.click(`${card(1)} [data-do=dismiss]`);
  await page.waitForSelector(".toast");
  assert.deepEqual(await databases(page), [], "something was stored without consent");
  assert.deepEqual(await skus(page, "for-you"), stranger, "a stranger's clicks changed the ranking");
  assert.deepEqual(await page.context().cookies(), []);

  await page.click("[data-consent]");
  await page.waitForSelector(".panel[data-state=granted]");
  await page.click(`${card(2)} [data-do=look]`);
  await page.waitForSelector("[data-profile] li");
  await page.click("dialog [data-close]");
  assert.deepEqual(await databases(page), ["tradewind"]);

  // It is there on the next page, and a second tab has it too.
  await open(page, `${shop.url}/category/Dairy`);
  await page.waitForSelector(".panel[data-state=granted] [data-profile] li");

  await page.click("[data-consent]");
  await page.waitForSelector(".panel[data-state=denied]");
  assert.deepEqual(await databases(page), [], "something is left after consent was withdrawn");
  await open(page, shop.url);
  await filled(page, "for-you");
  assert.deepEqual(await skus(page, "for-you"), stranger);
  assert.deepEqual(page.faults, []);
  await page.done();
});

test("a profile can be read, and erased, while consent stays", async () => {
  const page = await chromium.page();
  await open(page, shop.url);
  await filled(page, "for-you");
  const stranger = await skus(page, "for-you");
  await page.click("[data-consent]");
  await page.waitForSelector(".panel[data-state=granted]");
  await page.click(`${card(3)} [data-do=look]`);
  await page.waitForSelector("[data-profile] li");
  await page.click("dialog [data-close]");
  await page.click("[data-erase]");
  await page.waitForSelector("[data-profile]:empty", { state: "attached" });
  await shows(page, "for-you", stranger, { again: true });
  assert.equal(await page.getAttribute(".panel", "data-state"), "granted");
  await page.done();
});

test("Global Privacy Control overrides consent on the page", async () => {
  const page = await chromium.page({ gpc: true });
  await open(page, shop.url);
  await filled(page, "for-you");
  assert.match(await page.textContent("[data-consent-text]"), /Global Privacy Control. It is honoured/);
  assert.ok(await page.isDisabled("[data-consent]"));
  await page.click(`${card(1)} [data-do=dismiss]`);
  await page.waitForSelector(".toast");
  const state = await page.evaluate(async () => {
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    const tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json", consent: "granted" });
    const granted = await tradewind.setConsent("granted");
    return { granted, taken: await tradewind.track({ view: { sku: "1082185" } }), known: await tradewind.profile.export() };
  });
  assert.deepEqual(state, { granted: { consent: "denied", gpc: true }, taken: false, known: null });
  assert.deepEqual(await databases(page), []);
  await page.done();
});

test("two tabs keep each other's changes, and withdrawal in one applies to the other", async () => {
  const page = await chromium.page();
  await open(page, shop.url);
  await page.click("[data-consent]");
  await page.waitForSelector(".panel[data-state=granted]");
  const other = await page.context().newPage();
  await open(other, `${shop.url}/category/Fruit`);
  const track = (page, list) =>
    page.evaluate(async (list) => {
      const { Tradewind } = await import("/tradewind/sdk/index.js");
      globalThis.tradewind ??= await Tradewind.load({ config: "/tradewind/tradewind.json" });
      return Promise.all(list.map((sku) => globalThis.tradewind.track({ view: { sku } })));
    }, list);
  const [first, second] = [["1082185", "995242", "981760"], ["826249", "840361", "1098066"]];
  const taken = await Promise.all([track(page, first), track(other, second)]);
  assert.ok(taken.flat().every(Boolean));
  const known = await other.evaluate(() => globalThis.tradewind.profile.export());
  assert.deepEqual(known.items.map(({ sku }) => sku).sort(), [...first, ...second].sort());

  await page.evaluate(() => globalThis.tradewind.setConsent("denied"));
  assert.deepEqual(await track(other, ["1082185"]), [false]);
  assert.deepEqual(await databases(other), []);
  await page.done();
});

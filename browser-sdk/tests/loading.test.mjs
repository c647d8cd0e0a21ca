// Networks that are slow or fail, storage that hangs, and other tabs.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { after, before, test } from "node:test";
import { startShop } from "../storefront/server.mjs";
import { filled, open, shows, skus, startChromium } from "./chromium.mjs";
import { site } from "./site.mjs";

let chromium;
before(async () => (chromium = await startChromium()));
after(() => chromium?.close());

const BARE =
  '<!doctype html><html lang="en" data-tradewind-region="ORD"><link rel="icon" href="/icon.svg"><link rel="stylesheet" href="/shop.css"><title>Bare</title><body>' +
  '<tradewind-slot name="for-you" limit="4">own</tradewind-slot><tradewind-price sku="1082185">own</tradewind-price></body></html>';

/** A bare page with a slot and a price. */
async function bare(files = {}, options = {}) {
  const shop = await startShop({ files: { "/bare.html": BARE, ...files } });
  const page = await chromium.page(options);
  await page.goto(`${shop.url}/bare.html`);
  const done = async () => {
    await page.done();
    await shop.close();
  };
  return { page, shop, done };
}

/** Loads, with what it tells as `globalThis.told`; returns how that ended. */
const load = (page, options = {}) =>
  page.evaluate(async (options) => {
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    try {
      const tradewind = (globalThis.tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json", ...options }));
      globalThis.told = [];
      for (const event of ["profile", "consent", "error"]) tradewind.on(event, (detail) => globalThis.told.push([event, detail.code ?? detail]));
      return "loaded";
    } catch ({ code, message }) {
      return `${code}: ${message}`;
    }
  }, options);

/** A file in pieces, each some milliseconds after the one before. */
const slowly = (bytes, pieces, milliseconds) => () =>
  Readable.from(
    (async function* () {
      const size = Math.ceil(bytes.length / pieces);
      for (let at = 0; at < bytes.length; at += size) {
        yield bytes.subarray(at, at + size);
        await pause(milliseconds);
      }
    })(),
  );

/** A file that stops in the middle. */
const halfway = (bytes) => () =>
  Readable.from(
    (async function* () {
      yield bytes.subarray(0, bytes.length / 2);
      await pause(60_000, undefined, { ref: false });
    })(),
  );

for (const name of ["tradewind.wasm", "recommend.pack", "public.snapshot", "products.json", "tradewind.json"]) {
  for (const run of ["worker", "page"]) {
    test(`${name} arrives slowly, and is waited for: in the ${run}`, async () => {
      const { page, done } = await bare({ [`/tradewind/${name}`]: slowly(site(name), 10, 400) });
      assert.equal(await load(page, { loadTimeout: 2_500, run }), "loaded");
      await filled(page, "for-you");
      await done();
    });
  }
}

test("loading fails if a file stops arriving, and the next call fetches it again", async () => {
  let times = 0;
  const bytes = site("recommend.pack");
  const { page, done } = await bare({ "/tradewind/recommend.pack": () => (times++ ? bytes : halfway(bytes)()) });
  assert.equal(await load(page, { loadTimeout: 1_500 }), "timeout: loading took longer than 1500 ms");
  assert.equal(await load(page), "loaded");
  assert.equal(times, 2);
  await done();
});

test("a failed fetch of products is repeated without an action of the page", async () => {
  const { page, done } = await bare();
  let times = 0;
  await page.route("**/products.json", (route) => (times++ ? route.continue() : route.fulfill({ status: 503 })));
  await load(page);
  await page.waitForSelector("tradewind-slot[data-tradewind-error=fetch]");
  // Elements without products are filled all the same.
  await page.waitForSelector("tradewind-price[data-tradewind=device]");
  await filled(page, "for-you");
  assert.equal(times, 2);
  assert.equal(await page.$("tradewind-slot[data-tradewind-error]"), null);
  await done();
});

test("products that never arrive delay nothing else", async () => {
  const { page, done } = await bare({ "/tradewind/products.json": halfway(site("products.json")) });
  assert.equal(await load(page, { loadTimeout: 2_500 }), "loaded");
  const quote = await page.evaluate(() => globalThis.tradewind.quote({ sku: "1082185" }));
  assert.ok(quote.price > 0);
  await page.waitForSelector("tradewind-slot[data-tradewind-error=timeout]");
  assert.match(await page.innerText("tradewind-slot"), /own/);
  await done();
});

test("products that do not match their integrity are not shown", async () => {
  const { page, done } = await bare({ "/tradewind/products.json": site("products.json").toString().replace("/product/", "/altered/") });
  await load(page);
  await page.waitForSelector("tradewind-slot[data-tradewind-error=fetch]");
  assert.equal(await page.innerText("tradewind-slot"), "own");
  await done();
});

/** The worker with something done to it first. */
const worker = (first) => ({ "/tradewind/sdk/worker.js": `${first}\n${site("sdk/worker.js")}` });
const HANGS = {
  "opening the database never ends": "IDBFactory.prototype.open = () => ({});",
  "a transaction never ends":
    "const open = IDBDatabase.prototype.transaction; IDBDatabase.prototype.transaction = function (...given) { const real = open.apply(this, given); return { objectStore: () => new Proxy({}, { get: () => () => ({}) }), abort: () => real.abort() }; };",
};
for (const [what, first] of Object.entries(HANGS)) {
  test(`${what}: the page is ranked without a profile, and gets an error`, async () => {
    const { page, done } = await bare(worker(first));
    const started = Date.now();
    assert.equal(await load(page, { consent: "granted" }), "loaded");
    assert.ok(Date.now() - started < 9_000);
    await filled(page, "for-you");
    await page.waitForSelector("tradewind-price[data-tradewind=device]");
    await page.waitForFunction(() => globalThis.told.some(([, code]) => code === "storage"));
    const ranking = await page.evaluate(() => globalThis.tradewind.rank({ limit: 3 }));
    assert.equal(ranking.items.length, 3);
    await done();
  });
}

test("if storage hangs later, rankings continue, and `track` reports the failure", async () => {
  const first = "const open = IDBFactory.prototype.open; let calls = 0; IDBFactory.prototype.open = function (...given) { return calls++ < 2 ? open.apply(this, given) : {}; };";
  const { page, done } = await bare(worker(first));
  assert.equal(await load(page, { consent: "granted" }), "loaded");
  const outcome = await page.evaluate(async () => {
    for (let n = 0; n < 3; n++) await globalThis.tradewind.rank({ limit: 3 });
    return globalThis.tradewind.track({ view: { sku: "1082185" } }).catch(({ code }) => code);
  });
  assert.equal(outcome, "storage");
  await done();
});

test("an edge that does not answer delays consent by a few seconds only, and the page gets an error", async () => {
  const { page, done } = await bare();
  await page.route("**/v1/events", () => {});
  await load(page, { events: "/v1/events" });
  const took = await page.evaluate(async () => {
    await globalThis.tradewind.setConsent("granted");
    const started = performance.now();
    void globalThis.tradewind.track({ view: { sku: "1082185" } });
    await globalThis.tradewind.setConsent("denied");
    return performance.now() - started;
  });
  assert.ok(took < 8_000, `${took} ms`);
  assert.equal(await page.evaluate(() => globalThis.tradewind.consent.consent), "denied");
  const errors = await page.evaluate(() => globalThis.told.filter(([event]) => event === "error").map(([, code]) => code));
  assert.ok(errors.length && errors.every((code) => code === "timeout"), `${errors}`);
  await done();
});

test("consent and profile are shared by all tabs immediately", async () => {
  const { page, shop, done } = await bare();
  const other = await page.context().newPage();
  await other.goto(`${shop.url}/bare.html`);
  await load(page);
  await load(other);
  await filled(other, "for-you");
  const stranger = await skus(other, "for-you");

  await page.evaluate(() => globalThis.tradewind.setConsent("granted"));
  await other.waitForFunction(() => globalThis.tradewind.consent.consent === "granted");
  await page.evaluate((sku) => globalThis.tradewind.track({ dismiss: { sku } }), stranger[0]);
  await shows(other, "for-you", stranger);
  assert.ok(!(await skus(other, "for-you")).includes(stranger[0]));

  await page.evaluate(() => globalThis.tradewind.setConsent("denied"));
  await shows(other, "for-you", stranger, { again: true });
  const state = await other.evaluate(async () => ({
    consent: globalThis.tradewind.consent.consent,
    taken: await globalThis.tradewind.track({ view: { sku: "1082185" } }),
    told: globalThis.told.filter(([event]) => event === "consent").map(([, { consent }]) => consent),
    databases: (await indexedDB.databases()).length,
  }));
  assert.deepEqual(state, { consent: "denied", taken: false, told: ["granted", "denied"], databases: 0 });
  await done();
});

test("a tab opened later has the consent, also in the demo shop", async () => {
  const shop = await startShop();
  const page = await chromium.page();
  await open(page, shop.url);
  const other = await page.context().newPage();
  await open(other, shop.url);
  await page.click("[data-consent]");
  await other.waitForSelector(".panel[data-state=granted]");
  await other.click("[data-consent]");
  await page.waitForSelector(".panel[data-state=denied]");
  assert.deepEqual(page.faults, []);
  await page.done();
  await shop.close();
});

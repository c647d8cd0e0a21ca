// Failures: the page keeps the shop's own content.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { startShop } from "../storefront/server.mjs";
import { dist, filled, open, startChromium } from "./chromium.mjs";
import { configured, site, withModule, withProducts } from "./site.mjs";

const { default: binaryen } = await import(pathToFileURL(dist("tools/binaryen/node_modules/binaryen/index.js")));

let chromium;
before(async () => (chromium = await startChromium()));
after(() => chromium?.close());

/** tradewind.wasm, changed to answer rankings with an expression from `make`. */
function altered(make) {
  const module = binaryen.readBinary(site("tradewind.wasm"));
  module.setFeatures(binaryen.Features.All);
  const exports = Array.from({ length: module.getNumExports() }, (_, n) => binaryen.getExportInfo(module.getExportByIndex(n)));
  const original = exports.find(({ name }) => name === "call").value;
  const { i32 } = binaryen;
  const [pointer, length] = [module.local.get(0, i32), module.local.get(1, i32)];
  const ranks = module.i32.eq(module.i32.load8_u(0, 1, pointer), module.i32.const(3));
  const body = module.if(ranks, make(module), module.call(original, [pointer, length], i32));
  module.addFunction("altered", binaryen.createType([i32, i32]), i32, [], body);
  module.removeExport("call");
  module.addFunctionExport("altered", "call");
  return Buffer.from(module.emitBinary());
}

const flipped = (bytes, at) => {
  const copy = Buffer.from(bytes);
  copy[at < 0 ? copy.length + at : at] ^= 1;
  return copy;
};

/** Without its signature: the last 96 bytes. */
const unsigned = (bytes) => bytes.subarray(0, -96);

const pinned = (integrity) => configured({ module: { url: "/tradewind/tradewind.wasm", integrity } });
const imports = Buffer.from([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 2, 7, 1, 1, 97, 1, 98, 0, 0]);

/** Served files, with the code and words of the expected error. */
const FAULTS = [
  ["the configuration is missing", { "/tradewind/tradewind.json": null }, "fetch", /tradewind.json. cannot be read: status 404/],
  ["the configuration is no JSON", { "/tradewind/tradewind.json": "{" }, "fetch", /tradewind.json/],
  ["the card has an unknown field", configured({ card: "<a>{titel}</a>" }), "config", /\{titel\}/],
  ["the card has a field in code", configured({ card: "<a onclick=\"go('{url}')\">x</a>" }), "config", /`\{url\}` in `onclick`/],
  ["nothing holds the products to what they were", configured({ products: "/tradewind/products.json" }), "config", /`products` needs `url` and `integrity`/],
  ["the module is missing", { "/tradewind/tradewind.wasm": null }, "fetch", /tradewind.wasm. cannot be fetched/],
  ["the module is another than its integrity says", pinned(`sha384-${"A".repeat(64)}`), "fetch", /integrity/],
  ...["sha384-…", "sha384-", `sha384-${"0".repeat(96)}`].map((integrity) => [
    `the integrity is no digest: ${integrity.slice(0, 9)}`,
    pinned(integrity),
    "config",
    /64 digits of base64/,
  ]),
  ["the module is altered", { "/tradewind/tradewind.wasm": flipped(site("tradewind.wasm"), 90_000) }, "fetch", /integrity/],
  ["the module is invalid", withModule(Buffer.from("not a module")), "module", /cannot be compiled/],
  ["the module imports something", withModule(imports), "module", /imports `b` from `a`/],
  ["a pack is missing", { "/tradewind/price.pack": null }, "fetch", /price.pack/],
  ["a pack is not signed", { "/tradewind/recommend.pack": unsigned(site("recommend.pack")) }, "untrusted", /recommend.pack.*not signed/],
  ["a bit of a pack is flipped", { "/tradewind/recommend.pack": flipped(site("recommend.pack"), 200_000) }, "untrusted", /digest/],
  ["a bit of a signature is flipped", { "/tradewind/recommend.pack": flipped(site("recommend.pack"), -1) }, "untrusted", /signature/],
  ["a pack is cut off", { "/tradewind/price.pack": site("price.pack").subarray(0, 1000) }, "untrusted", /ends after 1000/],
  ["a bit of the snapshot is flipped", { "/tradewind/public.snapshot": flipped(site("public.snapshot"), 50_000) }, "untrusted", /digest/],
  ["the key is another", configured({ keys: ["00".repeat(32)] }), "untrusted", /not trusted/],
  ["the worker is missing", { "/tradewind/sdk/worker.js": null }, "fetch", /worker/],
  ["the shim is missing", { "/tradewind/sdk/tradewind_browser_bg.wasm": null }, "module", /./],
];

for (const [what, files, code, words] of FAULTS) {
  test(`${what}: the page keeps its own content`, async () => {
    const shop = await startShop({ files });
    const page = await chromium.page();
    await page.goto(shop.url, { waitUntil: "commit" });
    const written = await (await fetch(shop.url)).text();
    await page.waitForSelector("html[data-tradewind]");
    assert.equal(await page.getAttribute("html", "data-tradewind"), code);
    assert.match(await page.textContent(".panel"), words);
    const slots = await page.$$eval("tradewind-slot", (slots) => slots.map((slot) => slot.innerHTML));
    const parsed = await page.evaluate(
      (html) =>
        [...new DOMParser().parseFromString(html, "text/html").querySelectorAll("tradewind-slot")].map((slot) => slot.innerHTML),
      written,
    );
    assert.deepEqual(slots, parsed);
    assert.deepEqual(page.faults.filter((fault) => fault.startsWith("uncaught")), []);
    await page.done();
    await shop.close();
  });
}

test("without texts of products the slot keeps its own content and has an error", async () => {
  const shop = await startShop({ files: withProducts({}) });
  const page = await chromium.page();
  const said = page.waitForEvent("console", (message) => message.text().includes("has none of the ranked products"));
  await open(page, shop.url);
  await page.waitForSelector("tradewind-slot[name=for-you][data-tradewind-error=config]");
  await said;
  assert.match(await page.textContent("tradewind-slot .card-reason"), /often bought/);
  await page.done();
  await shop.close();
});

test("after a trap the page is unchanged, and the next call has a new instance", async () => {
  const shop = await startShop({ files: withModule(altered((module) => module.unreachable())) });
  const page = await chromium.page();
  await open(page, shop.url);
  await page.waitForSelector("tradewind-slot[data-tradewind-error=trap]");
  assert.equal(await page.$("tradewind-slot[data-tradewind]"), null);
  assert.match(await page.textContent("tradewind-slot .card-reason"), /often bought/);
  const outcome = await page.evaluate(async () => {
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    const tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json" });
    const trap = () => tradewind.rank({ limit: 3 }).catch(({ code, message }) => ({ code, message }));
    const [first, second] = [await trap(), await trap()];
    const quote = await tradewind.quote({ sku: "1082185" });
    return { first, second, price: quote.price };
  });
  assert.equal(outcome.first.code, "trap");
  assert.match(outcome.first.message, /trapped: RuntimeError: unreachable/);
  assert.deepEqual(outcome.second, outcome.first, "the dead instance was asked again");
  assert.ok(outcome.price > 0);
  await page.done();
  await shop.close();
});

test("a call that does not end is terminated, and the page is unchanged", async () => {
  const endless = altered((module) => module.loop("on", module.block(null, [module.br("on"), module.i32.const(0)])));
  const shop = await startShop({ files: withModule(endless) });
  const page = await chromium.page();
  await open(page, shop.url);
  await page.waitForSelector("tradewind-slot[data-tradewind-error=timeout]");
  assert.match(await page.textContent("tradewind-slot .card-reason"), /often bought/);
  const price = await page.evaluate(async () => {
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    const tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json", timeout: 500 });
    await tradewind.rank({ limit: 3 }).catch(() => {});
    return (await tradewind.quote({ sku: "1082185" })).price;
  });
  assert.ok(price > 0, "the runtime was not restarted");
  await page.done();
  await shop.close();
});

test("loading fails if the module does not arrive in time", async () => {
  const page = await chromium.page();
  const shop = await startShop();
  await page.route("**/tradewind.wasm", () => {});
  await page.goto(shop.url);
  const error = await page.evaluate(async () => {
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    return Tradewind.load({ config: "/tradewind/tradewind.json", loadTimeout: 300 }).catch(({ code, message }) => ({ code, message }));
  });
  assert.deepEqual(error, { code: "timeout", message: "loading took longer than 300 ms" });
  await page.done();
  await shop.close();
});

test("invalid calls of a page have clear errors", async () => {
  const shop = await startShop();
  const page = await chromium.page();
  await open(page, shop.url);
  await filled(page, "for-you");
  const messages = await page.evaluate(async () => {
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    const tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json" });
    await tradewind.setConsent("granted");
    const said = (promise) => promise.then(() => "nothing", ({ code, message }) => `${code}: ${message}`);
    return Promise.all([
      said(tradewind.rank({ limit: 3, hiden: [] })),
      said(tradewind.rank({ limit: -1 })),
      said(tradewind.rank({ limit: 3, region: "NOWHERE" })),
      said(tradewind.track({ look: { sku: "1" } })),
      said(tradewind.track({ view: { sku: 7 } })),
      said(tradewind.track({ view: { sku: "1" }, at: "2117-12-04T14:00:00Z" })),
      said(tradewind.quote({ sku: "0" })),
      said(tradewind.products(["1082185"], "NOWHERE")),
      said(tradewind.setConsent("yes")),
      said(Tradewind.load({ module: { url: "/tradewind/tradewind.wasm" }, packs: [], keys: [] })),
    ]);
  });
  const expected = [
    /^input: .*unknown field `hiden`; it takes limit, candidates/,
    /^input: `limit` needs a whole number from 0/,
    /^refused: fault \d+: the snapshot has no region `NOWHERE`/,
    /^input: an event needs exactly one of view, click/,
    /^input: `sku` needs a text/,
    /^input: `at` needs RFC 3339, and no moment after 2017-12-04T14:00:00.000Z, which counts as now/,
    /^refused: fault \d+: the snapshot has no product `0`/,
    /^input: the snapshot has no region `NOWHERE`/,
    /^input: .*consent/,
    /^config: .*integrity/,
  ];
  for (const [n, message] of messages.entries()) assert.match(message, expected[n]);
  await page.done();
  await shop.close();
});

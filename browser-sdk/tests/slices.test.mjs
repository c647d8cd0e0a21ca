// Pages with a slice: what they load, and the products outside it that come with their own pages.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { brotliCompressSync } from "node:zlib";
import { startShop } from "../storefront/server.mjs";
import { dist, filled, skus, startChromium } from "./chromium.mjs";

const REGION = "ORD";
let chromium, shop, folder, files, pages;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tradewind-slices-"));
  const config = dist("site/tradewind/tradewind.json");
  const options = ["--site", dist("site"), "--key", dist("keys/dev.key"), "--out", folder, "--at", "2017-12-04T14:00:00Z"];
  execFileSync(dist("tradewind"), ["slice", config, ...options, "--region", REGION, "--products", "300", "--pages"]);
  files = Object.fromEntries(readdirSync(folder).map((name) => [`/tradewind/slices/${name}`, readFileSync(join(folder, name))]));
  const lines = readFileSync(join(folder, `${REGION}.pages.jsonl`), "utf8").trim().split("\n");
  pages = lines.map((line) => JSON.parse(line));
  [chromium, shop] = await Promise.all([startChromium(), startShop({ files })]);
});
after(async () => {
  await Promise.all([chromium?.close(), shop?.close()]);
  rmSync(folder, { recursive: true, force: true });
});

/** A page of the shop's with a slot, and with what the edge says of products. */
async function open(page, products) {
  const handover = JSON.stringify({ region: REGION, slots: [], quotes: [], products }).replaceAll("<", "\\u003c");
  const script = products ? `<script type="application/tradewind" id="tradewind-handover">${handover}</script>` : "";
  const body = `<!doctype html><html lang="en" data-tradewind-region="${REGION}"><title>Shop</title>
    <tradewind-slot name="for-you" limit="12">own</tradewind-slot>${script}`;
  await page.route("**/own-page", (route) => route.fulfill({ contentType: "text/html; charset=utf-8", body }));
  await page.goto(`${shop.url}/own-page`);
}

/** The first products for the shopper of a page, after events. */
const first = (page, config, events) =>
  page.evaluate(
    async ([config, events]) => {
      const { Tradewind } = await import("/tradewind/sdk/index.js");
      const tradewind = await Tradewind.load({ config, consent: "granted" });
      for (const event of events) await tradewind.track(event);
      const { items } = await tradewind.rank({ limit: 12 });
      const { digest } = tradewind.loaded.snapshot;
      tradewind.close();
      return { items: items.map(({ sku, score, reasons }) => ({ sku, score, reasons })), digest };
    },
    [config, events],
  );

const SLICE = "/tradewind/slices/{region}.json";
const WHOLE = "/tradewind/tradewind.json";

/** Products outside the slice with most neighbours outside it, which the region gets. */
function outside() {
  const own = new Set(pages.map(({ sku }) => sku));
  const fits = ({ sku, products }) => products.find(({ row }) => row.sku === sku).days;
  const others = ({ products }) => products.filter(({ row, days }) => days && own.has(row.sku)).length;
  return pages.filter(fits).sort((a, b) => others(b) - others(a)).slice(0, 3);
}

test("a shopper who views products outside the slice gets the whole pack's ranking", async () => {
  const [a, b, c] = outside();
  const events = (page) => [{ view: { sku: page.sku } }, { add_to_cart: { sku: page.sku, quantity: 1 } }];
  const page = await chromium.page();
  await open(page, a.products);
  await first(page, SLICE, events(a));
  await open(page, b.products);
  await first(page, SLICE, [{ purchase: { lines: [{ sku: b.sku, quantity: 2 }] }, at: undefined }]);
  await open(page, c.products);
  const sliced = await first(page, SLICE, events(c));

  const other = await chromium.page();
  await open(other);
  const whole = await first(other, WHOLE, [...events(a), { purchase: { lines: [{ sku: b.sku, quantity: 2 }] } }, ...events(c)]);
  assert.deepEqual(sliced.items, whole.items);
  assert.equal(sliced.digest, whole.digest, "the slice answers for another snapshot");
  assert.ok(sliced.items.some(({ sku }) => [a, b, c].some((it) => it.sku === sku)));

  // Later pages know these products, their texts and prices.
  await open(page);
  await page.evaluate(async (config) => {
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    globalThis.tradewind = await Tradewind.load({ config });
  }, SLICE);
  await filled(page, "for-you");
  assert.deepEqual(await skus(page, "for-you"), whole.items.map(({ sku }) => sku));
  const known = sliced.items.find(({ sku }) => [a, b, c].some((it) => it.sku === sku)).sku;
  const { text } = [a, b, c].flatMap(({ products }) => products).find(({ row }) => row.sku === known);
  const card = await page.textContent(`tradewind-slot [data-sku="${known}"]:visible`);
  assert.ok(card.includes(text.title) && /\$\d+\.\d\d/.test(card), card);

  // Nothing stays when the shopper withdraws.
  await page.evaluate(() => globalThis.tradewind.setConsent("denied"));
  assert.deepEqual(await page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name)), []);
  await Promise.all([page.done(), other.done()]);
});

test("without consent no product is stored", async () => {
  const [a] = outside();
  const page = await chromium.page();
  await open(page, a.products);
  const databases = await page.evaluate(
    async ([config, sku]) => {
      const { Tradewind } = await import("/tradewind/sdk/index.js");
      const tradewind = await Tradewind.load({ config });
      await tradewind.track({ view: { sku } });
      return (await indexedDB.databases()).map(({ name }) => name);
    },
    [SLICE, a.sku],
  );
  assert.deepEqual(databases, []);
  await page.done();
});

test("what a page loads before its first ranked slot is at most 260 KB", async () => {
  const page = await chromium.page();
  chromium.taken();
  await open(page);
  await first(page, SLICE, []);
  const fetched = [...new Set(chromium.taken().map(({ url }) => new URL(url).pathname))].filter((path) => path.startsWith("/tradewind/"));
  const body = async (path) => Buffer.from(await (await fetch(shop.url + path)).arrayBuffer());
  const sizes = await Promise.all(fetched.map(async (path) => [path, brotliCompressSync(await body(path)).length]));
  const sum = sizes.reduce((sum, [, size]) => sum + size, 0);
  console.log(`${sum} bytes after brotli: ${sizes.map(([path, size]) => `${path.split("/").pop()} ${size}`).join(", ")}`);
  assert.ok(sum <= 260_000, `${sum} bytes`);
  await page.done();
});

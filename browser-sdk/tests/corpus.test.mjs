// The recorded cases in Chromium: the same bytes as under wasmtime, and the page's messages are those of the core.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { startShop } from "../storefront/server.mjs";
import { products } from "../storefront/catalog.mjs";
import { dist, open, root, startChromium } from "./chromium.mjs";

const { build } = createRequire(dist("tools/browser/"))("esbuild");
const lines = (path) => readFileSync(path, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const bytes = (hex) => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const base64 = (hex) => Buffer.from(hex, "hex").toString("base64");

let folder;
let chromium;
let shop;
let page;
/** The page's messages and its postcard, for Node. */
let messages;
let postcard;
/** What the page reads of a snapshot, for Node. */
let storefront;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tradewind-corpus-"));
  const entryPoints = ["messages", "postcard", "storefront"].map((name) => join(root, `browser-sdk/ts/${name}.ts`));
  await build({ entryPoints, bundle: true, format: "esm", outdir: folder, outExtension: { ".js": ".mjs" } });
  messages = await import(pathToFileURL(join(folder, "messages.mjs")));
  postcard = await import(pathToFileURL(join(folder, "postcard.mjs")));
  storefront = await import(pathToFileURL(join(folder, "storefront.mjs")));
  [chromium, shop] = await Promise.all([startChromium(), startShop()]);
  page = await chromium.page();
  await open(page, shop.url);
});
after(async () => {
  await Promise.all([chromium?.close(), shop?.close()]);
  rmSync(folder, { recursive: true });
});

/** What the host answers under wasmtime: its output, and the bytes of each exchange. */
function host(command, pack, requests) {
  const receipts = join(folder, `${command}.receipts`);
  const { stdout, error } = spawnSync(
    dist("tradewind"),
    [command, "--module", dist("tradewind.wasm"), "--snapshot", dist("reference.public.snapshot")]
      .concat(["--pack", dist(`packs/${pack}.pack`), "--trust", dist("keys/dev.pub")])
      .concat(["--receipts", receipts, join(root, requests)]),
    { encoding: "utf8", maxBuffer: 1 << 26 },
  );
  assert.equal(error, undefined);
  return { replies: stdout.trim().split("\n").map((line) => JSON.parse(line)), records: lines(receipts) };
}

/** Whether Chromium answers each request with the recorded bytes. */
const replayed = (records) =>
  page.evaluate(
    async (exchanges) => {
      const { Runtime } = await import("/tradewind/sdk/runtime.js");
      const config = await (await fetch("/tradewind/tradewind.json")).json();
      const absolute = (url) => new URL(url, location.href).href;
      const runtime = new Runtime();
      await runtime.load({
        ...config,
        module: { ...config.module, url: absolute(config.module.url) },
        packs: config.packs.map(absolute),
        snapshot: absolute(config.snapshot),
      });
      return Promise.all(exchanges.map(([request, reply]) => runtime.replay(request, reply)));
    },
    records.map(({ request, reply }) => [base64(request), base64(reply)]),
  );

test("recorded rankings have the same bytes in Chromium as under wasmtime", async () => {
  const { records } = host("rank", "recommend", "tests/cases/rank/requests.jsonl");
  assert.ok(records.length >= 10);
  assert.deepEqual(await replayed(records), records.map(() => true));
});

test("recorded prices over the public snapshot have the same bytes, refusals too", async () => {
  const { replies, records } = host("quote", "price", "tests/cases/decisions/quotes.jsonl");
  const refused = replies.filter(({ error }) => error).length;
  assert.ok(refused > 0 && refused < records.length, `${refused} of ${records.length} are refused`);
  assert.deepEqual(await replayed(records), records.map(() => true));
});

/** A profile in the module's encoding, from the JSON of a recorded request. */
function encoded({ orders, lines, first, last, items }) {
  const day = (date) => Date.parse(date) / 86_400_000;
  const to = new postcard.Writer().unsigned(orders).unsigned(lines).signed(day(first)).signed(day(last));
  const floats = (values) => to.raw(new Uint8Array(Float32Array.from(values).buffer));
  to.list(items, (to, item) => {
    to.text(item.sku).unsigned(item.orders).signed(day(item.first)).signed(day(item.last)).unsigned(item.last_order);
    floats([...item.by_order, item.by_day, item.attention]);
    to.signed(Date.parse(item.attended)).raw([item.dismissed ? 1 : 0]);
  });
  return to.bytes;
}

test("the page writes and reads rankings as the core does", () => {
  const requests = lines(join(root, "tests/cases/rank/requests.jsonl"));
  const { replies, records } = host("rank", "recommend", "tests/cases/rank/requests.jsonl");
  let written = 0;
  for (const [n, { id, at, profile, events = [], hidden, unavailable, ...request }] of requests.entries()) {
    const { items, considered } = messages.readRanking(bytes(records[n].reply));
    const shown = items.map(({ sku, score, reasons }) => ({ sku, score: Math.fround(score), reasons }));
    const expected = replies[n].items.map(({ score, ...item }) => ({ ...item, score: Math.fround(score) }));
    assert.deepEqual({ items: shown, considered }, { items: expected, considered: replies[n].considered });
    // Not supported by pages: other channels, and sets of products.
    if (hidden || unavailable || events.some(({ channel = "web" }) => channel !== "web")) continue;
    const happened = events.map(({ channel: _, ...event }) => event);
    const sent = messages.rankRequest("recommend", Date.parse(at), request, profile && encoded(profile), happened);
    assert.equal(hex(sent), records[n].request, `request ${n}`);
    written += 1;
  }
  assert.ok(written >= 8, `only ${written} requests were compared`);
});

test("the page writes every event as the core does", () => {
  const at = 1_512_396_000_000;
  const line = { sku: "1082185", quantity: 300 };
  const events = [
    { view: { sku: "1082185" } },
    { search: { query: "tea & “milk”" } },
    { add_to_cart: line },
    { purchase: { lines: [line, { sku: "995242", quantity: 1 }] } },
    { return: line },
    { impression: { skus: ["1082185", "995242"] } },
    { click: { sku: "995242" } },
    { dismiss: { sku: "981760" } },
  ];
  const request = { limit: 5, exclude: ["981760"], candidates: ["1082185", "995242"], max_per_category: 2, region: "ORD" };
  // One of them an hour ago.
  events[3].at = new Date(at - 3_600_000).toJSON();
  const now = new Date(at).toJSON();
  const json = JSON.stringify({ at: now, ...request, events: events.map((event) => ({ at: now, ...event })) });
  const { stdout, stderr } = spawnSync(
    dist("tradewind"),
    ["rank", "--module", dist("tradewind.wasm"), "--snapshot", dist("reference.public.snapshot"), "--pack"].concat([
      dist("packs/recommend.pack"),
      "--trust",
      dist("keys/dev.pub"),
      "--profiles",
      "--receipts",
      join(folder, "events.receipts"),
    ]),
    { input: json, encoding: "utf8" },
  );
  assert.equal(stderr, "");
  const [record] = lines(join(folder, "events.receipts"));
  assert.equal(hex(messages.rankRequest("recommend", at, request, undefined, events)), record.request);
  const { profile } = messages.readRanking(bytes(record.reply));
  const known = JSON.parse(stdout).profile;
  assert.equal(hex(profile), hex(encoded(known)));
  const read = messages.readProfile(profile, at);
  assert.equal(read.orders, known.orders);
  const seen = ({ sku, orders, attention, dismissed }) => ({ sku, orders, attention: Math.fround(attention), dismissed });
  assert.deepEqual(read.items.map(seen), known.items.map(seen));
});

test("the page writes and reads prices as the core does", () => {
  const requests = lines(join(root, "tests/cases/decisions/quotes.jsonl"));
  const { replies, records } = host("quote", "price", "tests/cases/decisions/quotes.jsonl");
  for (const [n, { at, sku: asked, region, objective }] of requests.entries()) {
    const sent = messages.quoteRequest(bytes(records[n].snapshot), Date.parse(at), asked, region, objective);
    assert.equal(hex(sent), records[n].request);
    if (replies[n].error) {
      assert.throws(() => messages.readQuote(bytes(records[n].reply)), { code: "refused" });
      continue;
    }
    const { sku, price, list, lowest_30_days, reasons, valid_until } = replies[n];
    const expected = { sku, price, list, lowest_30_days, reasons, valid_until };
    assert.deepEqual(messages.readQuote(bytes(records[n].reply)), expected);
  }
});

test("the page reads the same values from the snapshot as its tables and the module", async () => {
  const { listed, deliverable, quotes } = await page.evaluate(async (skus) => {
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    const tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json" });
    const { items } = await tradewind.rank({ limit: 10_000, candidates: skus, region: "SEA" });
    const listed = await tradewind.products(skus, "SEA");
    const quotes = await Promise.all(skus.map((sku) => tradewind.quote({ sku, region: "SEA" }).catch(() => null)));
    return { listed, deliverable: items.map(({ sku }) => sku), quotes };
  }, products.map(({ sku }) => sku));
  const prices = (all) => all.map(({ sku, list, price }) => [sku, list, price]);
  assert.deepEqual(prices(listed), prices(products));
  const promised = listed.filter(({ delivery }) => delivery).map(({ sku }) => sku);
  assert.ok(promised.length > 500 && promised.length < products.length, `${promised.length} are promised`);
  assert.deepEqual(promised.sort(), deliverable.sort());
  const unmoved = listed.filter(({ price }, n) => quotes[n]?.price === price);
  assert.ok(unmoved.length > 20, `${unmoved.length} prices stay as they are listed`);
  for (const { price, list, delivery } of listed) {
    assert.ok(price <= list);
    if (delivery) assert.equal(Date.parse(delivery.to) - Date.parse(delivery.from), (delivery.max_days - delivery.min_days) * 86_400_000);
  }
  for (const { sku, lowest_30_days } of unmoved) {
    assert.equal(lowest_30_days, quotes.find((quote) => quote?.sku === sku).lowest_30_days, sku);
  }
});

test("a reduction is compared with the 30 days before it began", () => {
  const DAY = 86_400_000;
  const day = (days) => (17_000 + days) * DAY;
  const { cases } = JSON.parse(readFileSync(join(root, "tests/cases/prior-prices.json"), "utf8"));
  for (const { what, points, day: at, price, lowest } of cases) {
    const prices = { list: 999, points: points.map(([since, price]) => ({ since: day(since), price })) };
    const listed = points.findLast(([since]) => since <= at) ?? points[0] ?? [0, 999];
    assert.equal(storefront.lowestBefore(prices, price ?? listed[1], day(at)), lowest, what);
  }
});

test("reasons are said as the edge says them, in the language of the page", async () => {
  const { cases } = JSON.parse(readFileSync(join(root, "tests/cases/words.json"), "utf8"));
  const said = await page.evaluate(async (reasons) => {
    const { Tradewind, sentence } = await import("/tradewind/sdk/index.js");
    const config = await (await fetch("/tradewind/tradewind.json")).json();
    const all = (locale) => reasons.map((reason) => sentence(reason, locale));
    const before = all("de");
    (await Tradewind.load({ ...config, locale: "de-DE" })).close();
    return { before, en: all("en-US"), de: all("de"), fr: all("fr"), named: sentence({ goes_with: { sku: "1" } }, "de", () => "Tee") };
  }, cases.map(({ reason }) => reason));
  const [en, de] = [cases.map(({ en }) => en), cases.map(({ de }) => de)];
  assert.deepEqual(said, { before: en, en, de, fr: en, named: "passt zu Tee" });
});

test("amounts have the digits of ISO 4217", async () => {
  const { digits } = JSON.parse(readFileSync(join(root, "tests/cases/currencies.json"), "utf8"));
  const currencies = Object.entries(digits).filter(([, digits]) => digits !== null);
  const shown = await page.evaluate(async (currencies) => {
    const { money } = await import("/tradewind/sdk/index.js");
    return currencies.map(([currency]) => money(1_234_567, currency, "en-US"));
  }, currencies);
  for (const [n, [currency, digits]] of currencies.entries()) {
    const text = (1_234_567 / 10 ** digits).toFixed(digits);
    assert.equal(shown[n].replace(/[^\d.]/g, ""), text, `${currency}: ${shown[n]}`);
  }
});

// The demo's shop where the shopper's profile is also at the edge: page, Worker and origin as they are.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { card, open, skus, startChromium } from "../../browser-sdk/tests/chromium.mjs";
import { startShop } from "../../browser-sdk/storefront/server.mjs";
import { dist } from "../../edge-worker/tests/workerd.mjs";
import { startEdge } from "./edge.mjs";
import { until } from "./story.mjs";

let chromium, shop, edge;
before(async () => {
  [chromium, shop] = await Promise.all([startChromium(), startShop()]);
  const configuration = JSON.parse(readFileSync(dist("site/tradewind/tradewind.json"), "utf8"));
  edge = await startEdge({ origin: shop.url, site: dist("site"), configuration, snapshot: dist("reference.snapshot") });
});
after(() => Promise.all([chromium?.close(), shop?.close(), edge?.close()]));

/** A shopper of Seattle, whose page tells the edge of what happens. */
async function shopper(options) {
  const page = await chromium.page(options);
  await page.context().addCookies([{ name: "tw_region", value: "SEA", url: edge.url }]);
  return page;
}
const home = () => `${edge.url}/?profile=edge`;
const cookie = async (page) => (await page.context().cookies()).find(({ name }) => name === "tw_profile");
const told = () => chromium.taken().filter(({ method }) => method === "POST");
const mode = async (page) => {
  const response = await page.goto(home());
  await page.waitForSelector("html[data-tradewind]");
  return /"(\w+) SEA"/.exec(response.headers()["server-timing"])?.[1];
};

test("what the shopper does is known at the edge, which ranks the next page; the page takes that over", async () => {
  const page = await shopper();
  assert.equal(await mode(page), "device");
  await page.click(`${card(1)} [data-do=dismiss]`);
  await page.waitForSelector(".toast");
  assert.deepEqual(told(), [], "something was told before the shopper agreed");

  await page.click("[data-consent]");
  await until("there is a profile at the edge", () => cookie(page));
  const stranger = await skus(page, "for-you");
  const empty = (await cookie(page)).value;
  await page.click(`${card(4)} [data-do=look]`);
  await page.waitForSelector("dialog [data-why] li");
  await page.click("dialog [data-do=add]");
  await until("the edge knows more", async () => (await cookie(page)).value.length > empty.length);
  const messages = await until("the edge receives events", () => {
    const seen = told();
    return seen.length && seen;
  });
  for (const { url, body } of messages) {
    assert.equal(new URL(url).pathname, "/v1/events");
    assert.equal(JSON.parse(body).consent, "granted");
  }

  assert.equal(await mode(page), "edge");
  const known = await skus(page, "for-you");
  assert.notDeepEqual(known, stranger);
  assert.equal(await page.getAttribute("tradewind-slot[name=for-you]", "data-tradewind"), "edge", "it was ranked again");
  const same = await page.evaluate(async () => {
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    const tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json" });
    return [await tradewind.replay("for-you"), await tradewind.replay("discover")];
  });
  assert.deepEqual(same, [true, true], "page and edge differ");

  await page.click("[data-consent]");
  await until("the edge has forgotten", async () => !(await cookie(page)));
  assert.equal(await mode(page), "device");
  assert.deepEqual(page.faults, []);
  await page.done();
});

test("whatever happens at once, the edge learns all of it", async () => {
  const page = await shopper();
  await mode(page);
  await page.click("[data-consent]");
  await page.waitForSelector(".panel[data-state=granted]");
  let told = 0;
  page.on("requestfinished", (request) => {
    if (request.url().endsWith("/v1/events")) told += JSON.parse(request.postData() ?? "{}").events?.length ?? 0;
  });
  const wanted = await page.evaluate(async () => {
    const texts = await (await fetch("/tradewind/products.json")).json();
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    const tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json", events: "/v1/events" });
    const list = Object.keys(texts).slice(100, 120);
    await Promise.all(list.map((sku, n) => tradewind.track({ view: { sku }, at: n ? undefined : "2017-11-30T00:00:00Z" })));
    return list;
  });
  // A page that is left while it tells the edge of something does not tell it what comes after that.
  await until("the edge receives all events", async () => told >= wanted.length);
  const request = await until("the edge knows all of it", async () => {
    const response = await page.goto(home());
    const handed = /id="tradewind-handover">(.*?)<\/script>/.exec(await response.text())?.[1];
    const bytes = Buffer.from(JSON.parse(handed ?? "{}").slots?.[0]?.request ?? "", "base64");
    return wanted.every((sku) => bytes.includes(sku)) && bytes;
  });
  assert.ok(request.length > 20 * 30);
  await page.done();
});

test("with Global Privacy Control the edge receives nothing", async () => {
  const page = await shopper({ gpc: true });
  chromium.taken();
  assert.equal(await mode(page), "device");
  await page.click(`${card(1)} [data-do=dismiss]`);
  await page.waitForSelector(".toast");
  assert.deepEqual(told(), []);
  assert.equal(await cookie(page), undefined);
  await page.done();
});

test("where the edge cannot be told, the page goes on, and says so", async () => {
  const page = await shopper();
  await open(page, edge.url);
  const said = await page.evaluate(async () => {
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    const tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json", consent: "granted", events: "/nothing-here" });
    const error = new Promise((told) => tradewind.on("error", told));
    const taken = await tradewind.track({ view: { sku: "1082185" } });
    const { code, message } = await error;
    return { taken, code, message, known: (await tradewind.profile.export()).items.length };
  });
  assert.match(said.message, /nothing-here` answers 4\d\d$/);
  assert.deepEqual({ ...said, message: "" }, { taken: true, code: "refused", message: "", known: 1 });
  await page.done();
});

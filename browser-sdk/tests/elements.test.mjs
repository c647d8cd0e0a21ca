// Elements in a long-lived page: what is shown follows changes of attributes, instances and page views.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startShop } from "../storefront/server.mjs";
import { products } from "../storefront/catalog.mjs";
import { dist, root, shows, skus, startChromium } from "./chromium.mjs";
import { handover, rankedAtTheEdge } from "./handed.mjs";
import { withProducts } from "./site.mjs";

const { build } = createRequire(dist("tools/browser/"))("esbuild");
const cases = (name) => JSON.parse(readFileSync(join(root, `tests/cases/${name}.json`), "utf8"));

let chromium;
before(async () => (chromium = await startChromium()));
after(() => chromium?.close());

const SLOT = '<tradewind-slot class="cards" name="a" limit="4"><i data-sku="own">own</i></tradewind-slot>';
const PRICE = '<tradewind-price sku="1082185">own</tradewind-price>';

/** An empty page with these elements, in a separate shop. */
async function bare(body, { files = {}, ...options } = {}) {
  const shop = await startShop({
    files: {
      "/bare.html": `<!doctype html><html lang="en" data-tradewind-region="ORD"><link rel="icon" href="/icon.svg"><link rel="stylesheet" href="/shop.css"><title>Bare</title><body>${body}</body></html>`,
      ...files,
    },
  });
  const page = await chromium.page(options);
  await page.goto(`${shop.url}/bare.html`);
  const done = async () => {
    await page.done();
    await shop.close();
  };
  return { page, shop, done };
}

/** Loads an instance as `globalThis[name]`, and notes what it tells. */
const load = (page, options = {}, name = "tradewind") =>
  page.evaluate(
    async ([options, name]) => {
      const { Tradewind } = await import("/tradewind/sdk/index.js");
      const tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json", ...options });
      globalThis[name] = tradewind;
      globalThis.told ??= [];
      for (const event of ["exposure", "decision", "profile", "consent", "error"]) {
        tradewind.on(event, (detail) => globalThis.told.push([name, event, detail.code ?? detail]));
      }
    },
    [options, name],
  );
const told = (page, event) => page.evaluate((event) => globalThis.told.filter(([, kind]) => kind === event).map(([, , detail]) => detail), event);
const priced = (page) => page.waitForSelector("tradewind-price[data-tradewind=device]");
const ranked = (page, name = "a") => page.waitForSelector(`tradewind-slot[name=${name}][data-tradewind=device]`);
const price = (page) => page.innerText("tradewind-price");

test("attributes have the meaning of the shared cases", async () => {
  const filler = join(root, "browser-sdk/ts/filler.ts");
  const script = await build({ entryPoints: [filler], bundle: true, write: false, format: "iife", globalName: "filler" });
  const page = await chromium.page();
  await page.setContent("<p>");
  await page.addScriptTag({ content: script.outputFiles[0].text });
  for (const { html, ...expected } of cases("elements").cases) {
    const read = await page.evaluate((html) => {
      document.body.innerHTML = html;
      const slot = document.querySelector("tradewind-slot");
      const { limitOf, excludedBy } = globalThis.filler;
      return { name: slot.getAttribute("name") ?? "", limit: limitOf(slot), exclude: excludedBy(slot) };
    }, html);
    assert.deepEqual(read, expected, html);
  }
  await page.done();
});

test("fields of a card are allowed only where the shared cases allow them, and only pages are linked", async () => {
  const entry = `export { card } from "./card.js"; export { isPage } from "./products.js";`;
  const stdin = { contents: entry, resolveDir: join(root, "browser-sdk/ts"), loader: "ts" };
  const script = await build({ stdin, bundle: true, write: false, format: "iife", globalName: "cards" });
  const page = await chromium.page();
  await page.route("https://shop.example/", (route) => route.fulfill({ contentType: "text/html", body: "<p>" }));
  await page.goto("https://shop.example/");
  await page.addScriptTag({ content: script.outputFiles[0].text });
  const { cases: templates, urls } = cases("cards");
  const said = await page.evaluate(
    (templates) =>
      templates.map(({ card }) => {
        try {
          globalThis.cards.card(card);
          return null;
        } catch ({ code, message }) {
          return code === "config" ? message : `not a TradewindError: ${message}`;
        }
      }),
    templates,
  );
  for (const [n, { card, error }] of templates.entries()) {
    if (error === null) assert.equal(said[n], null, card);
    else assert.ok(said[n]?.includes(error), `${card}: ${said[n]}`);
  }
  const pages = await page.evaluate((urls) => urls.map(({ url }) => globalThis.cards.isPage(url)), urls);
  for (const [n, { url, ok }] of urls.entries()) assert.equal(pages[n], ok, url);
  await page.done();
});

test("attributes that change after connection are used: limit, and exclude over several lines", async () => {
  const { page, done } = await bare(SLOT);
  await load(page);
  await ranked(page);
  const first = await skus(page, "a");
  assert.equal(first.length, 4);
  const set = (name, value) => page.$eval("tradewind-slot", (slot, [name, value]) => slot.setAttribute(name, value), [name, value]);
  await set("limit", "6");
  await shows(page, "a", first);
  const six = await skus(page, "a");
  assert.deepEqual([six.length, six.slice(0, 4)], [6, first]);
  await set("exclude", `\n\t${first[0]}\n\t${first[2]}\f${six[5]}\r\n`);
  await shows(page, "a", six);
  const others = await skus(page, "a");
  assert.equal(others.length, 6);
  for (const sku of [first[0], first[2], six[5]]) assert.ok(!others.includes(sku), sku);
  await page.$eval("tradewind-slot", (slot) => slot.removeAttribute("exclude"));
  await shows(page, "a", others);
  assert.deepEqual(await skus(page, "a"), six);
  assert.deepEqual(page.faults, []);
  await done();
});

test("slots do not repeat each other, also when an earlier one changes or is added", async () => {
  const slot = (name) => `<tradewind-slot name="${name}" limit="4">own</tradewind-slot>`;
  const { page, done } = await bare(`<div>${slot("a")}${slot("b")}</div>`);
  await load(page);
  await ranked(page, "b");
  const all = async (...names) => (await Promise.all(names.map((name) => skus(page, name)))).flat();
  assert.equal(new Set(await all("a", "b")).size, 8);
  const second = await skus(page, "b");
  await page.$eval("[name=a]", (slot) => slot.setAttribute("limit", "7"));
  await shows(page, "b", second);
  assert.equal(new Set(await all("a", "b")).size, 11);
  await page.$eval("div", (div, html) => div.insertAdjacentHTML("afterbegin", html), slot("c"));
  await ranked(page, "c");
  await page.waitForTimeout(300);
  assert.equal(new Set(await all("c", "a", "b")).size, 15);
  await done();
});

test("the price of one product never stays on another", async () => {
  const { page, done } = await bare(PRICE);
  await load(page);
  await priced(page);
  const first = await price(page);
  assert.match(first, /^\$\d/);
  const states = await page.$eval("tradewind-price", async (price) => {
    price.setAttribute("sku", "860776");
    const at_once = price.innerText;
    for (let n = 0; price.dataset.tradewind !== "device" && n < 400; n++) await new Promise((soon) => setTimeout(soon, 5));
    const then = price.innerText;
    price.setAttribute("sku", "no such product");
    await new Promise((later) => setTimeout(later, 300));
    return { at_once, then, unknown: price.innerText, marked: price.dataset.tradewind };
  });
  assert.equal(states.at_once, "own", "the price of the product before");
  assert.match(states.then, /^\$\d/);
  assert.notEqual(states.then, first);
  assert.deepEqual([states.unknown, states.marked], ["own", undefined]);
  await done();
});

test("the page's own content replaces the edge's price for another product", async () => {
  const { page, done } = await bare('<tradewind-price sku="995242" data-tradewind="edge">$1.77</tradewind-price>');
  const states = await page.evaluate(async () => {
    await import("/tradewind/sdk/index.js");
    const price = document.querySelector("tradewind-price");
    price.setAttribute("sku", "1082185");
    const stale = price.innerText;
    price.firstChild.data = "own of another";
    await new Promise((soon) => setTimeout(soon, 50));
    return { stale, own: price.innerText };
  });
  assert.deepEqual(states, { stale: "", own: "own of another" });
  await done();
});

test("the instance loaded last fills the page; when it is closed, the previous one does", async () => {
  const { page, done } = await bare(SLOT + PRICE);
  await load(page, { region: "ORD" }, "first");
  await ranked(page);
  await load(page, { region: "SEA" }, "second");
  const before = await skus(page, "a");
  // A change in any instance changes what is shown.
  await page.evaluate(() => globalThis.first.setConsent("granted"));
  await page.evaluate((sku) => globalThis.first.track({ dismiss: { sku } }), before[0]);
  await page.waitForSelector(`tradewind-slot [data-sku="${before[0]}"]:visible`, { state: "detached" });
  assert.equal(await page.evaluate(() => globalThis.second.consent.consent), "granted");
  await page.evaluate(() => globalThis.second.close());
  await page.waitForTimeout(500);
  const without = await skus(page, "a");
  await page.evaluate((sku) => globalThis.first.track({ dismiss: { sku } }), without[0]);
  await page.waitForSelector(`tradewind-slot [data-sku="${without[0]}"]:visible`, { state: "detached" });
  await page.evaluate(() => globalThis.first.close());
  assert.equal((await skus(page, "a")).length, 4, "what is on the page stays");
  await load(page, {}, "third");
  await page.$eval("tradewind-price", (price) => price.setAttribute("sku", "860776"));
  await priced(page);
  assert.match(await price(page), /^\$\d/);
  assert.deepEqual(page.faults, []);
  await done();
});

test("a second copy of the package fills the page too", async () => {
  const { page, done } = await bare(`${SLOT}${PRICE}<script src="/tradewind/sdk/tradewind.iife.js"></script>`);
  await load(page, {}, "first");
  await ranked(page);
  await priced(page);
  await page.waitForFunction(() => globalThis.told.some(([, kind]) => kind === "exposure"));
  const state = await page.evaluate(async () => {
    globalThis.first.close();
    globalThis.seen = [];
    const copy = await globalThis.tradewind.Tradewind.load({ config: "/tradewind/tradewind.json" });
    copy.on("exposure", (detail) => globalThis.seen.push(detail));
    document.querySelector("tradewind-slot").setAttribute("limit", "6");
    document.querySelector("tradewind-price").setAttribute("sku", "860776");
    return copy.consent;
  });
  assert.equal(state.consent, "denied");
  await page.waitForFunction(() => document.querySelectorAll("tradewind-slot > [slot=tradewind] [data-sku]").length === 6);
  await priced(page);
  assert.match(await price(page), /^\$\d/);
  // Products reported by the first copy are not reported again.
  await page.waitForFunction(() => globalThis.seen.length);
  assert.deepEqual(await page.evaluate(() => globalThis.seen.map(({ skus }) => skus.length)), [2]);
  assert.deepEqual(page.faults, []);
  await done();
});

const handed = (slot, quoted, region) =>
  `<tradewind-price sku="995242" data-tradewind="edge">$1.23</tradewind-price>${handover(slot, { price: 123, ...quoted }, region)}`;

test("a price from the edge is valid only for its region and until it expires", async () => {
  // The demo's public snapshot publishes nothing to compute the price of 995242 from.
  const slot = await rankedAtTheEdge(chromium);
  const listed = products.find(({ sku }) => sku === "995242").price;
  for (const [what, html, region, expected] of [
    ["it holds", handed(slot), "ORD", 123],
    ["another region", handed(slot), "SEA", listed],
    ["its time is over", handed(slot, { valid_until: "2017-12-04T13:59:59Z" }), "ORD", listed],
  ]) {
    const { page, done } = await bare(html);
    await load(page, { region });
    const quote = await page.evaluate(() => globalThis.tradewind.quote({ sku: "995242" }).then(({ price }) => price, ({ code }) => code));
    assert.equal(quote, expected === 123 ? 123 : "refused", what);
    await page.waitForTimeout(200);
    assert.equal(await price(page), `$${(expected / 100).toFixed(2)}`, what);
    await done();
  }
});

test("an unreadable handover is reported, and the page is ranked", async () => {
  const { page, done } = await bare(
    `${SLOT.replace(">", ' data-tradewind="edge">')}<script type="application/tradewind" id="tradewind-handover">{"slots": </script>`,
  );
  await load(page);
  await page.waitForFunction(() => globalThis.told.some(([, kind]) => kind === "error"));
  assert.deepEqual(await told(page, "error"), ["config"]);
  await ranked(page);
  await done();
});

test("exposures are reported once, though the page tracks them, and never cause a new ranking", async () => {
  const { page, done } = await bare(SLOT);
  await page.evaluate(async () => {
    const { Tradewind } = await import("/tradewind/sdk/index.js");
    const tradewind = (globalThis.tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json", consent: "granted" }));
    [globalThis.exposures, globalThis.rankings] = [[], 0];
    tradewind.on("exposure", ({ skus }) => {
      globalThis.exposures.push(skus);
      void tradewind.track({ impression: { skus } });
    });
    tradewind.on("decision", ({ kind }) => (globalThis.rankings += kind === "rank" ? 1 : 0));
  });
  await ranked(page);
  await page.waitForFunction(() => globalThis.exposures.length);
  await page.waitForTimeout(1_000);
  const rankings = await page.evaluate(() => globalThis.rankings);
  assert.ok(rankings <= 2, `${rankings} rankings`);
  const [first, ...more] = await page.evaluate(() => globalThis.exposures);
  assert.deepEqual([first.length, more], [4, []]);
  // Another ranking names only new products.
  await page.evaluate((sku) => globalThis.tradewind.track({ dismiss: { sku } }), first[1]);
  await page.waitForFunction(() => globalThis.exposures.length === 2);
  const next = (await page.evaluate(() => globalThis.exposures))[1];
  assert.ok(next.length && next.every((sku) => !first.includes(sku)), `${next}`);
  await page.waitForTimeout(500);
  assert.equal(await page.evaluate(() => globalThis.exposures.length), 2);
  await done();
});

test("after a soft navigation exposures name the products shown then", async () => {
  const { page, done } = await bare(`<div></div>${SLOT}`);
  await page.evaluate(() => (document.querySelector("div").style.height = "3000px"));
  await load(page);
  await ranked(page);
  const before = await skus(page, "a");
  assert.deepEqual(await told(page, "exposure"), []);
  await page.evaluate((sku) => {
    history.pushState({}, "", "/another");
    document.querySelector("tradewind-slot").setAttribute("exclude", sku);
  }, before[0]);
  await shows(page, "a", before);
  const now = await skus(page, "a");
  await page.$eval("tradewind-slot", (slot) => slot.scrollIntoView());
  await page.waitForFunction(() => globalThis.told.some(([, kind]) => kind === "exposure"));
  assert.deepEqual((await told(page, "exposure")).map(({ skus }) => skus), [now]);
  // The same products are reported again in the next page view.
  await page.evaluate(() => {
    history.pushState({}, "", "/a-third");
    document.querySelector("tradewind-slot").replaceWith(document.querySelector("tradewind-slot").cloneNode(true));
  });
  await page.waitForFunction(() => globalThis.told.filter(([, kind]) => kind === "exposure").length === 2);
  assert.deepEqual((await told(page, "exposure"))[1].skus, now);
  await done();
});

test("a slot shows as many products as it wants of those that `products` names, and none with a wrong address", async () => {
  const seldom = products.slice(-300).filter((_, n) => n % 10 === 0);
  const texts = Object.fromEntries(seldom.map(({ sku, title, category, url }) => [sku, { title, category, url }]));
  texts[products[0].sku] = { title: "Best seller", category: "", url: "java\nscript:alert(1)" };
  const { page, done } = await bare('<tradewind-slot name="a" limit="8">own</tradewind-slot>', { files: withProducts(texts) });
  await load(page);
  await ranked(page);
  const shown = await skus(page, "a");
  assert.equal(shown.length, 8);
  assert.ok(shown.every((sku) => seldom.some((product) => product.sku === sku)), `${shown}`);
  assert.ok((await told(page, "error")).includes("config"));
  await done();
});

// React and Vue behind the edge: an origin renders an app, the real Worker fills the page on its way, Chromium hydrates it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { builtApps } from "../../browser-sdk/tests/apps.mjs";
import { skus, startChromium } from "../../browser-sdk/tests/chromium.mjs";
import { startShop } from "../../browser-sdk/storefront/server.mjs";
import { dist } from "../../edge-worker/tests/workerd.mjs";
import { startEdge } from "./edge.mjs";

let chromium, shop, edge;
before(async () => {
  const { scripts, rendered } = await builtApps();
  const page = (framework) => `<!doctype html><html lang="en"><link rel="icon" href="/icon.svg"><title>App</title>
    <body><div id="root">${rendered[framework]}</div><script type="module" src="/${framework}.js"></script></body></html>`;
  const files = Object.keys(scripts).flatMap((name) => [[`/${name}.js`, scripts[name]], [`/${name}.html`, page(name)]]);
  [chromium, shop] = await Promise.all([startChromium(), startShop({ files: Object.fromEntries(files) })]);
  const configuration = JSON.parse(readFileSync(dist("site/tradewind/tradewind.json"), "utf8"));
  edge = await startEdge({ origin: shop.url, site: dist("site"), configuration, snapshot: dist("reference.snapshot") });
});
after(() => Promise.all([chromium?.close(), shop?.close(), edge?.close()]));

/** Cookie of a shopper who has agreed, and viewed a product. */
async function cookie() {
  const events = [{ at: "2017-12-04T13:00:00Z", view: { sku: "1124507" } }];
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ consent: "granted", events }) };
  const response = await fetch(`${edge.url}/v1/events`, init);
  const [, value] = /^tw_profile=([^;]+)/.exec(response.headers.getSetCookie()[0]);
  return { name: "tw_profile", value, url: edge.url };
}

/** Opens the app as a shopper of Seattle. Returns what the edge filled in, too. */
async function opened(framework, mode) {
  const page = await chromium.page();
  const region = { name: "tw_region", value: "SEA", url: edge.url };
  await page.context().addCookies(mode === "edge" ? [region, await cookie()] : [region]);
  const response = await page.goto(`${edge.url}/${framework}.html`);
  assert.match(response.headers()["server-timing"], new RegExp(`"${mode} SEA"`));
  const html = await response.text();
  await page.waitForFunction(() => globalThis.tradewind && document.querySelector("tradewind-slot").textContent.includes("own 0"));
  const filled = {
    skus: [...html.matchAll(/<article class="card" data-sku="(\d+)"/g)].map(([, sku]) => sku),
    price: /<tradewind-price [^>]*data-tradewind="edge"[^>]*>(.*?)<\/tradewind-price>/.exec(html)[1],
  };
  assert.equal(filled.skus.length, 8);
  assert.match(filled.price, /^\$\d+\.\d\d$/);
  return { page, filled };
}

/** What is shown of slot and price, and in how many places. */
const shown = async (page) => ({
  skus: await skus(page, "for-you"),
  price: await page.innerText("tradewind-price"),
  places: await page.$$eval("tradewind-slot > [slot=tradewind]", (all) => all.length),
});
const change = (page, state) => page.evaluate((state) => globalThis.change(state), state);

for (const framework of ["react", "vue"]) {
  for (const mode of ["device", "edge"]) {
    test(`${framework}: a page that the edge filled in its mode ${mode} is hydrated, and shows once what the edge says`, async () => {
      const { page, filled } = await opened(framework, mode);
      const expected = { ...filled, places: 1 };
      // Long enough for a second ranking or price, if there were one.
      await page.waitForTimeout(1_000);
      assert.deepEqual(await shown(page), expected);
      if (framework === "react") {
        // Not rendered again: React keeps the server's HTML, without a correction like Vue's.
        assert.deepEqual(await page.evaluate(() => [globalThis.recovered, globalThis.first.isConnected]), [[], true]);
      }
      if (mode === "edge") assert.equal(await page.getAttribute("tradewind-slot", "data-tradewind"), "edge", "it was ranked again");

      // The framework goes on with its own, and leaves ours alone.
      await change(page, { count: 2 });
      await page.waitForFunction(() => /own 2/.test(document.querySelector("tradewind-slot").textContent));
      assert.match(await page.$eval("tradewind-slot", (slot) => slot.textContent), /more/);
      assert.deepEqual(await shown(page), expected);
      // A price that it asks for by itself is the page's.
      await change(page, { sku: "860776" });
      await page.waitForSelector("tradewind-price[sku='860776'][data-tradewind=device]");
      const { price } = await shown(page);
      assert.match(price, /^\$\d+\.\d\d$/);
      assert.notEqual(price, filled.price);
      await page.evaluate(() => globalThis.root.unmount());
      assert.equal(await page.innerHTML("#root"), "");
      assert.deepEqual(page.faults, []);
      await page.done();
    });
  }
}

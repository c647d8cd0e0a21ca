// Insights in Chromium: the module's answers about this device's profile, with evidence.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { startShop } from "../storefront/server.mjs";
import { dist, open, startChromium } from "./chromium.mjs";
import { configuration, configured } from "./site.mjs";

const DAY = 86_400_000;

let chromium;
let shop;
before(async () => {
  const { packs } = configuration();
  const files = {
    ...configured({ packs: [...packs, "/tradewind/churn.pack"] }),
    "/tradewind/churn.pack": readFileSync(dist("packs/churn.pack")),
  };
  [chromium, shop] = await Promise.all([startChromium(), startShop({ files })]);
});
after(() => Promise.all([chromium?.close(), shop?.close()]));

/** Runs an insight in the page of a shopper with orders a number of days ago. */
async function asked(page, { days, locale = "en-US", request = { pack: "churn" } }) {
  return page.evaluate(
    async ({ days, locale, request, DAY }) => {
      const { Tradewind } = await import("/tradewind/sdk/index.js");
      const { insight } = await import("/tradewind/sdk/insights.js");
      const config = await (await fetch("/tradewind/tradewind.json")).json();
      const tradewind = await Tradewind.load({ ...config, locale, consent: "granted" });
      await tradewind.profile.erase();
      await tradewind.track(
        days.map((ago) => ({
          at: new Date(tradewind.now - ago * DAY).toJSON(),
          purchase: { lines: [{ sku: "1082185", quantity: 1 }, { sku: `${ago}`, quantity: 1 }] },
        })),
      );
      try {
        return await insight(tradewind, request);
      } catch ({ code, message }) {
        return { code, message };
      } finally {
        tradewind.close();
      }
    },
    { days, locale, request, DAY },
  );
}

test("a shopper without recent orders is likely to leave, with reasons in the page's language", async () => {
  const page = await chromium.page();
  await open(page, shop.url);
  const away = await asked(page, { days: [150, 140, 130, 120, 90] });
  assert.equal(away.pack, "churn");
  assert.equal(away.considered, 1);
  const [{ of, probability, evidence }] = away.items;
  assert.equal(of, "shopper");
  assert.ok(probability > 0.5 && probability <= 1, `${probability}`);
  const said = Object.fromEntries(evidence.map(({ source, text }) => [source, text]));
  assert.equal(said.days_since_order, "last ordered 90 days ago");
  assert.equal(said.order_due, "waits 6 times as long as usual between orders");

  const here = await asked(page, { days: [60, 50, 40, 30, 20, 10, 3] });
  assert.ok(here.items[0].probability < 0.2, `${here.items[0].probability}`);

  const german = await asked(page, { days: [150, 120, 75], locale: "de-CH" });
  assert.match(german.items[0].evidence.map(({ text }) => text).join("; "), /letzte Bestellung vor 75 Tagen; wartet 2-mal/);
  const french = await asked(page, { days: [90], locale: "fr" });
  assert.match(french.items[0].evidence[0].text, /^last ordered 90 days ago$/);
  await page.done();
});

test("the page's answer is the host's, for the same orders", async () => {
  const page = await chromium.page();
  await open(page, shop.url);
  const days = [150, 120, 75];
  const here = await asked(page, { days });
  const now = Date.parse(configuration().at);
  const events = days.map((ago) => ({
    at: new Date(now - ago * DAY).toJSON(),
    purchase: { lines: [{ sku: "1082185", quantity: 1 }, { sku: `${ago}`, quantity: 1 }] },
  }));
  const { stdout, stderr } = spawnSync(
    dist("tradewind"),
    ["insight", "--module", dist("tradewind.wasm"), "--pack", dist("packs/churn.pack"), "--trust", dist("keys/dev.pub")],
    { input: JSON.stringify({ at: configuration().at, events }), encoding: "utf8" },
  );
  const there = JSON.parse(stdout || `{"error": ${JSON.stringify(stderr)}}`);
  assert.equal(Math.fround(there.items[0].probability), here.items[0].probability);
  const facts = ({ evidence }) => evidence.map(({ source, value }) => [source, Math.fround(value)]);
  assert.deepEqual(facts(there.items[0]), facts(here.items[0]));
  await page.done();
});

test("an invalid request is refused with a reason", async () => {
  const page = await chromium.page();
  await open(page, shop.url);
  for (const [request, code, message] of [
    [{ pack: "moon" }, "refused", /no pack `moon` is loaded/],
    [{ pack: "recommend" }, "refused", /another task/],
    [{ pack: "churn", skus: ["1082185"] }, "refused", /leave out `skus`/],
    [{ pack: "churn", texts: [7] }, "input", /lists of texts/],
    [{ name: "churn" }, "input", /unknown field `name`/],
  ]) {
    const refused = await asked(page, { days: [], request });
    assert.equal(refused.code, code, JSON.stringify(refused));
    assert.match(refused.message, message);
  }
  await page.done();
});

// Insights at the edge: for a profile in the request, and for the one in the shopper's cookie.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { AT } from "../../browser-sdk/storefront/catalog.mjs";
import { startEdge, startOrigin } from "./shop.mjs";
import { dist } from "./workerd.mjs";

const NOW = Date.parse(AT);
const DAY = 86_400_000;

let origin, edge;
before(async () => {
  origin = await startOrigin({});
  edge = await startEdge({
    origin: origin.url,
    change: (it) => ({ ...it, packs: [...it.packs, "/tradewind/churn.pack"] }),
    assets: { "churn.pack": readFileSync(dist("packs/churn.pack")) },
  });
});
after(async () => {
  await edge.close();
  origin.close();
});

const post = (path, body, headers = {}) =>
  edge.get(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });

const order = (ago) => ({ at: new Date(NOW - ago * DAY).toJSON(), purchase: { lines: [{ sku: "1082185", quantity: 1 }] } });

test("a shopper without recent orders is likely to leave, with evidence", async () => {
  const response = await post("/v1/insights", { id: "a", at: AT, events: [150, 120, 75].map(order) });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const { id, pack, items, considered } = JSON.parse(text);
  assert.deepEqual([id, pack, considered], ["a", "churn", 1]);
  assert.ok(items[0].probability > 0.5, text);
  assert.deepEqual(items[0].evidence[0], { source: "days_since_order", value: 75 });
});

test("for a shopper who agreed, the cookie's profile is used", async () => {
  const agreed = await post("/v1/events", { consent: "granted", events: [60, 40, 20, 3].map(order) });
  assert.equal(agreed.status, 204);
  const cookie = agreed.headers.get("set-cookie").split(";")[0];
  const asked = async (headers) => (await (await post("/v1/insights", { pack: "churn", at: AT }, headers)).json()).items[0].probability;
  const [known, stranger] = [await asked({ cookie }), await asked({})];
  assert.ok(known < 0.5 && known !== stranger, `${known}, ${stranger}`);
  assert.equal(await asked({ cookie, "sec-gpc": "1" }), stranger, "the browser asks that nothing be remembered");
});

test("an invalid request is a problem", async () => {
  for (const [body, status, said] of [
    [{ pack: "moon", at: AT }, 404, /no pack `moon`/],
    [{ pack: "price", at: AT }, 404, /another task/],
    [{ at: AT, texts: ["nice"] }, 422, /leave out `texts`/],
    [{ at: AT, events: [{ ...order(1), at: new Date(NOW + DAY).toJSON() }] }, 422, /later than the decision/],
    [{ at: AT, shopper: "me" }, 422, /unknown field `shopper`/],
  ]) {
    const response = await post("/v1/insights", body);
    const text = await response.text();
    assert.equal(response.headers.get("content-type"), "application/problem+json", text);
    assert.match(JSON.parse(text).detail, said);
    assert.equal(response.status, status, text);
  }
});

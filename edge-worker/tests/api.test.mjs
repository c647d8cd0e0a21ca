// The storefront API.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { AT } from "../../browser-sdk/storefront/catalog.mjs";
import { startEdge, startOrigin } from "./shop.mjs";
import { dist, root } from "./workerd.mjs";

let origin, edge;
before(async () => {
  origin = await startOrigin({ "/v1/other": "<p>the origin's own" });
  edge = await startEdge({ origin: origin.url });
});
after(async () => {
  await edge.close();
  origin.close();
});

const post = (path, body, { headers, ...init } = {}) =>
  edge.get(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
  });

/** Checks that a response is a problem with a status and a type, and returns its detail. */
async function problem(response, status) {
  const text = await response.text();
  assert.equal(response.status, status, text);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  const problem = JSON.parse(text);
  assert.equal(problem.status, status);
  assert.ok(problem.title && problem.detail);
  assert.match(problem.type, /^\/problems#[a-z-]+$/);
  return problem.detail;
}

test("`/healthz` lists digests", async () => {
  const health = await (await edge.get("/healthz")).json();
  assert.equal(health.status, "ok");
  assert.equal(health.module, createHash("sha256").update(readFileSync(dist("tradewind.wasm"))).digest("hex"));
  assert.deepEqual(health.packs.map(({ name }) => name), ["recommend", "price"]);
  assert.match(health.snapshot.root, /^[0-9a-f]{64}$/);
  assert.equal(health.snapshot.whole, true);
  assert.equal(health.trouble, null);
});

test("the module that wrangler uploads is the module", () => {
  const module = readFileSync(dist("tradewind.wasm"));
  assert.ok(readFileSync(dist("edge/tradewind.wasm")).equals(module));
  assert.ok(edge.bundled().equals(module));
});

test("recorded shoppers are ranked, with reasons", async () => {
  const lines = (file) => readFileSync(join(root, "tests/cases/rank", file), "utf8").trim().split("\n");
  const replies = lines("replies.jsonl").map((line) => JSON.parse(line));
  for (const [n, line] of lines("requests.jsonl").entries()) {
    const request = JSON.parse(line);
    const response = await post("/v1/rank", { ...request, region: "SEA", at: AT });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    const ranking = JSON.parse(text);
    assert.equal(ranking.id, replies[n].id);
    assert.equal(ranking.items.length, request.limit);
    assert.ok(ranking.items.every(({ reasons }) => reasons.length > 0));
    assert.equal(ranking.profile !== undefined, request.profile !== undefined, "who sends a profile has it back");
  }
});

test("a ranking contains only products available in the shopper's region", async () => {
  const ranking = async (cf) => (await post("/v1/rank", { at: AT, limit: 20 }, { cf })).json();
  const seattle = await ranking();
  assert.deepEqual(seattle, await (await post("/v1/rank", { at: AT, limit: 20, region: "SEA" })).json());
  assert.equal(seattle.profile, undefined, "nobody was asked for");
  const france = { country: "FR", latitude: "48.9", longitude: "2.4" };
  assert.match(await problem(await post("/v1/rank", { at: AT, limit: 20 }, { cf: france }), 422), /set `region`/);
});

test("a byte order mark before a body is ignored", async () => {
  const response = await post("/v1/quote", `\ufeff${JSON.stringify({ sku: "1082185" })}`);
  assert.equal(response.status, 200, await response.text());
});

test("a price contains public data only, and not its inputs", async () => {
  const quote = await (await post("/v1/quote", { id: "a", sku: "1082185" })).json();
  assert.deepEqual(
    Object.keys(quote),
    ["id", "sku", "currency", "price", "list", "lowest_30_days", "reasons", "at", "valid_until", "snapshot"],
  );
  assert.equal(quote.currency, "USD");
  assert.ok(quote.price > 0 && quote.price <= quote.list);
  assert.equal(quote.at, "2017-12-04T14:00:00Z");
  assert.equal(quote.valid_until, "2017-12-05T08:00:00Z", "the end of Seattle's day");
});

test("an offer is machine-readable", async () => {
  const response = await edge.get("/v1/offers/1082185?region=BOS");
  assert.equal(response.headers.get("content-type"), "application/ld+json");
  const offer = await response.json();
  assert.equal(offer["@context"], "https://schema.org");
  assert.match(offer.price, /^\d+\.\d\d$/);
  assert.equal(offer.priceCurrency, "USD");
  assert.equal(offer.availability, "https://schema.org/InStock");
  assert.equal(offer.url, "https://shop.example/p/1082185");
  const { transitTime } = offer.shippingDetails.deliveryTime;
  assert.ok(transitTime.minValue >= 1 && transitTime.maxValue >= transitTime.minValue && transitTime.unitCode === "DAY");
  assert.equal(offer.shippingDetails.shippingDestination.addressCountry, "US");
  assert.match(await problem(await edge.get("/v1/offers/green%20tea"), 404), /no product `green tea`/);
  assert.match(await problem(await edge.get("/v1/offers/%ff"), 400), /not percent-encoded/);
  assert.match(await problem(await edge.get("/v1/offers/1082185?region=XYZ"), 422), /no region `XYZ`/);
});

test("an invalid request gets a reason", async () => {
  assert.match(await problem(await post("/v1/quote", "{"), 400), /cannot be read: EOF/);
  assert.match(await problem(await post("/v1/quote", { sku: "1082185", objective: { margin: 1 } }), 422), /unknown field `objective`/);
  assert.match(await problem(await post("/v1/quote", { sku: "tea" }), 422), /no product `tea`/);
  assert.match(await problem(await post("/v1/rank", { at: "2049-08-12T00:00:00Z", limit: 1 }), 503), /snapshot is valid from/);
  assert.match(await problem(await post("/v1/rank", { at: AT, limit: 60_000 }), 422), /60000 products/);
  assert.match(await problem(await post("/v1/rank", `"${"x".repeat(600_000)}"`), 413), /more than 524288 bytes/);
  assert.match(await problem(await post("/v1/rank", "a=b", { headers: { "content-type": "text/plain" } }), 415), /text\/plain/);
  for (const [path, method, allowed] of [["/v1/quote", "GET", "POST"], ["/healthz", "PROPFIND", "GET"], ["/v1/offers/1082185", "PUT", "GET"]]) {
    const wrong = await edge.get(path, { method });
    assert.equal(wrong.headers.get("allow"), allowed);
    assert.match(await problem(wrong, 405), new RegExp(`use the method ${allowed}`));
  }
});

test("media types of bodies are read as HTTP has them, and a body that is empty is read, too", async () => {
  const typed = (type) => post("/v1/quote", { sku: "1082185" }, { headers: { "content-type": type } });
  for (const type of ["Application/JSON", "application/json ; charset=utf-8", "application/json;"]) {
    assert.equal((await typed(type)).status, 200, type);
  }
  for (const type of ["application/jsonx", "text/json", "a; application/json"]) await problem(await typed(type), 415);
  assert.match(await problem(await post("/v1/quote", ""), 400), /cannot be read: EOF/);
});

test("the location of a request is from the cookie or the platform, also with unusual values", async () => {
  const region = async (init) => {
    const response = await edge.get("/v1/offers/1082185", init);
    return response.status === 200 ? (await response.json()).shippingDetails.shippingDestination.name : problem(response, 422);
  };
  const at = (latitude, longitude, country = "US") => ({ cf: { country, latitude, longitude } });
  assert.equal(await region(at("42.4", "-71.0")), "BOS");
  assert.equal(await region({ headers: { cookie: "a=b; tw_region = BOS ;c" } }), "BOS");
  for (const init of [at("north", "-71.0"), at(42.4, -71), at("42.4"), at("42.4", "-71.0", 1), { headers: { cookie: "tw_region=XYZ" } }]) {
    assert.match(await region(init), /set `region`/, JSON.stringify(init));
  }
});

test("other paths are the origin's", async () => {
  assert.equal(await (await edge.get("/v1/other")).text(), "<p>the origin's own");
});

test("only pages of listed origins may call the API", async () => {
  const ask = (origin) =>
    edge.get("/v1/quote", { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } });
  const listed = await ask("https://app.example");
  assert.equal(listed.status, 204);
  assert.equal(listed.headers.get("access-control-allow-origin"), "https://app.example");
  assert.equal(listed.headers.get("access-control-allow-methods"), "POST");
  assert.equal((await ask("https://evil.example")).headers.get("access-control-allow-origin"), null);
  const quote = await post("/v1/quote", { sku: "1082185" }, { headers: { origin: "https://app.example" } });
  assert.equal(quote.headers.get("access-control-allow-origin"), "https://app.example");
  assert.equal(quote.headers.get("vary"), "Origin");
  assert.equal(quote.headers.get("cache-control"), "no-store");
});

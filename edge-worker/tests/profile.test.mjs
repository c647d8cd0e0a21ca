// Profiles at the edge, for shoppers who agreed.
import assert from "node:assert/strict";
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { operations } from "../../tests/node/module.mjs";
import { AT } from "../../browser-sdk/storefront/catalog.mjs";
import { cards, handover, startEdge, startOrigin } from "./shop.mjs";
import { dist, root } from "./workerd.mjs";

const NOW = Date.parse(AT);
const HOME = `<!doctype html><body><tradewind-slot name="for-you" limit="8">own</tradewind-slot></body>`;
const view = (sku) => ({ at: new Date(NOW - 60_000).toJSON(), view: { sku } });
const pages = { "/": HOME };
let origin, edge;
before(async () => {
  origin = await startOrigin(pages);
  edge = await startEdge({ origin: origin.url });
});
after(async () => {
  await edge.close();
  origin.close();
});

const post = (body, headers = {}) =>
  edge.get("/v1/events", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
const home = (headers) => edge.get("/", { headers });
const cookieOf = (response) => response.headers.getSetCookie().find((cookie) => cookie.startsWith("tw_profile="));
const sent = (cookie) => cookie.split(";")[0];

test("nothing is stored before the shopper has agreed", async () => {
  const refused = await post({ events: [view("1082185")] });
  assert.equal(refused.status, 403);
  assert.equal(cookieOf(refused), undefined);
  assert.match((await refused.json()).detail, /has not agreed/);
});

test("after consent the edge ranks for the shopper, and sends the ranking to the page", async () => {
  const agreed = await post({ consent: "granted", events: [view("1124507"), view("1124507")] });
  assert.equal(agreed.status, 204);
  const cookie = cookieOf(agreed);
  assert.match(cookie, /; HttpOnly; Secure; SameSite=Lax$/);
  assert.doesNotMatch(Buffer.from(sent(cookie).split("=")[1], "base64url").toString("latin1"), /1124507/);

  const response = await home({ cookie: sent(cookie) });
  assert.equal(response.headers.get("cache-control"), "private, no-store");
  assert.match(response.headers.get("server-timing"), /edge SEA/);
  const html = await response.text();
  assert.match(html, /goes with Frzn bagged vegetables/);
  const stranger = await (await home()).text();
  assert.notDeepEqual(cards(html), cards(stranger));
  const { slots } = handover(html);
  assert.equal(slots.length, 1);
  assert.equal(slots[0].slot, "for-you");
  assert.ok(Buffer.from(slots[0].request, "base64").includes("1124507"), "the request has the profile");
  assert.ok(Buffer.from(slots[0].reply, "base64").includes(cards(html)[0].sku));

  const [first] = cards(html);
  const more = await post({ events: [{ at: new Date(NOW + 5_000).toJSON(), dismiss: { sku: first.sku } }] }, { cookie: sent(cookie) });
  assert.equal(more.status, 204, "a clock that is ahead is no error");
  const after = await (await home({ cookie: sent(cookieOf(more)) })).text();
  assert.ok(!cards(after).some(({ sku }) => sku === first.sku));
});

test("the attributes of slots have the same meaning as in the page", async () => {
  const cookie = sent(cookieOf(await post({ consent: "granted", events: [view("1124507")] })));
  const { cases } = JSON.parse(readFileSync(join(root, "tests/cases/elements.json"), "utf8"));
  const top = cards(await (await home()).text()).map(({ sku }) => sku);
  for (const { html, name, limit, exclude } of cases) {
    pages["/element"] = html;
    const text = await (await edge.get("/element", { headers: { cookie } })).text();
    const { slots } = handover(text);
    const request = Buffer.from(slots[0].request, "base64").toString("latin1");
    // A request ends with its limit. There are not 48 products that can be delivered.
    assert.deepEqual([slots[0].slot, request.charCodeAt(request.length - 1)], [name, limit], html);
    if (limit < 30) assert.equal(cards(text).length, limit, html);
    // Each SKU in the request has its length before it.
    for (const sku of exclude) assert.ok(request.includes(String.fromCharCode(sku.length) + sku), `${sku} of ${html}`);
  }
  pages["/excluded"] = `<tradewind-slot name="a" exclude="\n  ${top.slice(0, 3).join("\n\t")}\n">own</tradewind-slot>`;
  const left = cards(await (await edge.get("/excluded")).text()).map(({ sku }) => sku);
  assert.ok(left.length === 8 && !top.slice(0, 3).some((sku) => left.includes(sku)));
});

test("the page's own run of the edge's request gives the same bytes", async () => {
  const cookie = sent(cookieOf(await post({ consent: "granted", events: [view("1124507"), view("1082185")] })));
  const { slots } = handover(await (await home({ cookie })).text());
  const { instance } = await WebAssembly.instantiate(readFileSync(dist("tradewind.wasm")), {});
  const [load, call] = operations(instance);
  // A page has the public part of the snapshot only.
  for (const file of ["packs/recommend.pack", "reference.public.snapshot"]) load(readFileSync(dist(file)));
  const reply = call(Buffer.from(slots[0].request, "base64"));
  assert.equal(Buffer.from(reply).toString("base64"), slots[0].reply);
});

test("withdrawing consent deletes the profile", async () => {
  const denied = await post({ consent: "denied" });
  assert.equal(denied.status, 204);
  assert.match(cookieOf(denied), /^tw_profile=; Path=\/; Max-Age=0;/);
});

test("revoked consent stays revoked, also for copies of the cookie", async () => {
  const first = sent(cookieOf(await post({ consent: "granted", events: [view("1124507")] })));
  const second = sent(cookieOf(await post({ events: [view("1082185")] }, { cookie: first })));
  for (const cookie of [first, second]) assert.match((await home({ cookie })).headers.get("server-timing"), /edge SEA/);
  await post({ consent: "denied" }, { cookie: second });
  for (const cookie of [first, second]) {
    const page = await home({ cookie });
    assert.match(page.headers.get("server-timing"), /device SEA/);
    assert.equal(page.headers.get("cache-control"), "private, no-cache");
    const renewed = await post({ events: [view("1082185")] }, { cookie });
    assert.deepEqual([renewed.status, cookieOf(renewed)], [403, undefined]);
  }
  // Who agrees again begins again, and what was said before is not known.
  const again = sent(cookieOf(await post({ consent: "granted", events: [view("1082185")] }, { cookie: second })));
  const { slots } = handover(await (await home({ cookie: again })).text());
  const request = Buffer.from(slots[0].request, "base64").toString("latin1");
  assert.ok(request.includes("1082185") && !request.includes("1124507"));
  // Another isolate learns of it from KV.
  const other = await startEdge({ origin: origin.url });
  await other.storage.put(`revoked/${await revokedIn(edge)}`, "");
  const replayed = await other.get("/", { headers: { cookie: second } });
  assert.match(replayed.headers.get("server-timing"), /device SEA/);
  await other.close();
});

/** The last agreement that a Worker noted as taken back. */
async function revokedIn(edge) {
  const { keys } = await edge.storage.list({ prefix: "revoked/" });
  assert.ok(keys.length >= 1);
  const [{ name, expiration }] = keys;
  assert.ok(expiration > Date.now() / 1_000 + 15_552_000, "as long as the youngest cookie lasts");
  return name.slice("revoked/".length);
}

test("another key forgets nobody while the one before it is there", async () => {
  const cookie = sent(cookieOf(await post({ consent: "granted", events: [view("1124507")] })));
  const [key, other] = ["0123456789abcdef".repeat(4), "ab".repeat(32)];
  const rotated = await startEdge({ origin: origin.url, vars: { PROFILE_KEY: other, PROFILE_KEY_PREVIOUS: key } });
  assert.match((await rotated.get("/", { headers: { cookie } })).headers.get("server-timing"), /edge SEA/);
  const headers = { "content-type": "application/json", cookie };
  const body = JSON.stringify({ events: [view("1082185")] });
  const renewed = cookieOf(await rotated.get("/v1/events", { method: "POST", headers, body }));
  await rotated.close();
  const later = await startEdge({ origin: origin.url, vars: { PROFILE_KEY: other } });
  assert.match((await later.get("/", { headers: { cookie: sent(renewed) } })).headers.get("server-timing"), /edge SEA/);
  assert.match((await later.get("/", { headers: { cookie } })).headers.get("server-timing"), /device SEA/);
  await later.close();
});

test("a browser that says Global Privacy Control is ranked for without a profile, and forgotten", async () => {
  const cookie = sent(cookieOf(await post({ consent: "granted", events: [view("1124507")] })));
  const refused = await post({ consent: "granted", events: [view("1082185")] }, { cookie, "sec-gpc": "1" });
  assert.equal(refused.status, 403);
  assert.match(cookieOf(refused), /Max-Age=0/);
  const response = await home({ cookie, "sec-gpc": "1" });
  assert.match(response.headers.get("server-timing"), /device SEA/);
  assert.deepEqual(cards(await response.text()), cards(await (await home()).text()));
});

test("a cookie that was altered, or written with another key, is as none", async () => {
  const cookie = sent(cookieOf(await post({ consent: "granted", events: [view("1124507")] })));
  const place = cookie.length - 10;
  const altered = cookie.slice(0, place) + (cookie[place] === "A" ? "B" : "A") + cookie.slice(place + 1);
  for (const bad of [altered, "tw_profile=", "tw_profile=AAAA", "tw_profile=%%%", `${cookie.slice(0, 40)}`]) {
    assert.match((await home({ cookie: bad })).headers.get("server-timing"), /device SEA/, bad);
    assert.equal((await post({ events: [view("1082185")] }, { cookie: bad })).status, 403);
  }
  const other = await startEdge({ origin: origin.url, vars: { PROFILE_KEY: "ab".repeat(32) } });
  assert.match((await other.get("/", { headers: { cookie } })).headers.get("server-timing"), /device SEA/);
  await other.close();
});

/** What AES-GCM with the Worker's key makes of a cookie's bytes, by Node. */
const KEY = Buffer.from("0123456789abcdef".repeat(4), "hex");
const WHAT = Buffer.from("tradewind profile 2");
function opened(cookie) {
  const bytes = Buffer.from(cookie.split("=")[1], "base64url");
  const gcm = createDecipheriv("aes-256-gcm", KEY, bytes.subarray(0, 12)).setAAD(WHAT).setAuthTag(bytes.subarray(-16));
  const plain = Buffer.concat([gcm.update(bytes.subarray(12, -16)), gcm.final()]);
  return { agreement: plain.subarray(0, 8).toString("hex"), agreed: plain.readDoubleBE(8), written: plain.readDoubleBE(16), profile: plain.subarray(24) };
}
function sealed({ agreement, agreed, written, profile }) {
  const head = Buffer.alloc(24);
  head.write(agreement, "hex");
  head.writeDoubleBE(agreed, 8);
  head.writeDoubleBE(written, 16);
  const iv = randomBytes(12);
  const gcm = createCipheriv("aes-256-gcm", KEY, iv).setAAD(WHAT);
  const bytes = Buffer.concat([iv, gcm.update(Buffer.concat([head, profile])), gcm.final(), gcm.getAuthTag()]);
  return `tw_profile=${bytes.toString("base64url")}`;
}

test("a cookie is what the README says: bytes that this version writes, the next one reads", async () => {
  const { profile, ...now } = opened(sent(cookieOf(await post({ consent: "granted", events: [view("1124507")] }))));
  assert.ok(Math.abs(Date.now() - now.written) < 60_000 && now.agreed === now.written);
  const before = { agreement: "00000000000000ff", agreed: Date.now() - 9e9, written: Date.now() - 8e9, profile };
  const cookie = sealed(before);
  assert.match((await home({ cookie })).headers.get("server-timing"), /edge SEA/);
  const { agreement, agreed, written } = opened(sent(cookieOf(await post({ events: [view("1082185")] }, { cookie }))));
  assert.deepEqual([agreement, agreed], [before.agreement, before.agreed], "the agreement stays");
  assert.ok(Math.abs(Date.now() - written) < 60_000);
  for (const old of [{ written: Date.now() - 15_552_000_000 - 60_000 }, { written: 0 }]) {
    const response = await home({ cookie: sealed({ ...before, ...old }) });
    assert.match(response.headers.get("server-timing"), /device SEA/, "after half a year it is as none");
  }
  await post({ consent: "denied" }, { cookie });
  assert.notEqual(await edge.storage.get(`revoked/${before.agreement}`), null);
});

test("of a long profile as much is kept as a cookie holds", async () => {
  const lines = readFileSync(join(root, "tests/cases/rank/requests.jsonl"), "utf8").trim().split("\n");
  const skus = [...new Set(lines.flatMap((line) => (JSON.parse(line).profile?.items ?? []).map(({ sku }) => sku)))].slice(0, 128);
  const events = skus.map((sku, n) => ({ at: new Date(NOW - n * 3_600_000).toJSON(), view: { sku } }));
  const cookie = sent(cookieOf(await post({ consent: "granted", events })));
  assert.ok(cookie.length <= 2_500 && cookie.length > 2_400, `${cookie.length} bytes`);
  const { slots } = handover(await (await home({ cookie })).text());
  const request = Buffer.from(slots[0].request, "base64").toString("latin1");
  const kept = skus.filter((sku) => request.includes(sku));
  assert.ok(kept.length >= 30, `${kept.length} products`);
  assert.deepEqual(kept, skus.slice(0, kept.length), "the most recently viewed products");
});

test("a shop that does not offer it keeps nothing, and one without a key says so in its log only", async () => {
  const without = await startEdge({
    origin: origin.url,
    change: (config) => ({ ...config, edge: { ...config.edge, profiles: false } }),
  });
  const body = JSON.stringify({ consent: "granted", events: [] });
  const init = { method: "POST", headers: { "content-type": "application/json" }, body };
  assert.equal((await without.get("/v1/events", init)).status, 403);
  await without.close();
  const keyless = await startEdge({ origin: origin.url, vars: { PROFILE_KEY: "" } });
  const response = await keyless.get("/v1/events", init);
  assert.equal(response.status, 503);
  assert.doesNotMatch(await response.text(), /PROFILE_KEY/);
  assert.match((await (await keyless.get("/healthz")).json()).trouble, /`PROFILE_KEY` is not 64 hexadecimal digits/);
  await keyless.close();
});

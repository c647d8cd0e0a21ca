// Failures at the edge: the response is never worse than the origin's page.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { dying, dyingAmid, neverReading, ranking } from "./module.mjs";
import { AT } from "../../browser-sdk/storefront/catalog.mjs";
import { cards, configuration, products, startEdge, startOrigin } from "./shop.mjs";
import { dist } from "./workerd.mjs";

const HOME = `<!doctype html><html><body><h1>Shop</h1><tradewind-slot name="for-you" limit="4"><a>own</a></tradewind-slot><tradewind-price sku="1082185">$9.99</tradewind-price></body></html>`;
let origin;
before(async () => {
  origin = await startOrigin({ "/": HOME });
});
after(() => origin.close());

/** Runs `check` with a Worker. */
async function withEdge(options, check) {
  const edge = await startEdge({ origin: origin.url, ...options });
  try {
    await check(edge);
  } finally {
    await edge.close();
  }
}

/** Checks that the page is the origin's, to the byte, and that the Worker says it is not well. */
async function passes(edge, why) {
  const page = await edge.get("/");
  assert.equal(page.status, 200);
  assert.equal(await page.text(), HOME);
  assert.match(page.headers.get("server-timing"), /passed/);
  assert.equal(page.headers.get("cache-control"), "public, max-age=600");
  const health = await edge.get("/healthz");
  assert.equal(health.status, 503);
  assert.match((await health.json()).detail, why);
  assert.equal(page.headers.get("etag"), '"origin"');
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: '{"sku":"1082185"}' };
  const quote = await edge.get("/v1/quote", init);
  assert.equal(quote.status, 503);
  assert.equal(quote.headers.get("content-type"), "application/problem+json");
  const { detail, fault } = await quote.json();
  // Clients see the module's faults; internal errors appear only in `/healthz` and the log.
  if (fault === undefined) assert.doesNotMatch(detail, why);
}

const altered = (file, place) => {
  const bytes = readFileSync(dist(file));
  bytes[place] ^= 1;
  return bytes;
};

for (const [what, options, why] of [
  ["no configuration", { change: () => "" }, /cannot be read/],
  ["a configuration that is not JSON", { change: () => "{" }, /cannot be read/],
  ["a card with an unknown field", { change: (it) => ({ ...it, card: "{titel}" }) }, /`\{titel\}`/],
  ["a card whose field is run", { change: (it) => ({ ...it, card: `<a onclick="go('{url}')">x</a>` }) }, /`onclick`, where a value cannot be escaped/],
  ["files that an isolate has no room for", { objects: { "reference.snapshot": Buffer.alloc(56 << 20) } }, /need 11\d MB \(packs 0, snapshot 56, texts 0\)/],
  ["products with a changed letter", {
    assets: { "products.json": JSON.stringify(products).replace("/p/", "/q/") },
  }, /products\.json` is refused: its digest is sha384-/],
  ["an invalid integrity", { change: (it) => ({ ...it, products: { ...it.products, integrity: "sha384-" } }) }, /invalid integrity `sha384-`/],
  ["an invalid locale", { change: (it) => ({ ...it, locale: "no such" }) }, /`locale` is `no such`/],
  ["a region missing in the snapshot", {
    change: (it) => ({ ...it, edge: { ...it.edge, regions: { XYZ: { country: "US", latitude: 0, longitude: 0 } } } }),
  }, /`XYZ`/],
  ["a missing pack", { change: (it) => ({ ...it, packs: ["/tradewind/no.pack"] }) }, /no\.pack` has status 404/],
  ["a pack with a flipped bit", { assets: { "price.pack": altered("packs/price.pack", 5_000) } }, /price\.pack` is refused/],
  ["a snapshot with a flipped bit", { objects: { "reference.snapshot": altered("reference.snapshot", 50_000) } }, /reference\.snapshot` is refused/],
  ["a snapshot missing in the bucket", { change: (it) => ({ ...it, edge: { ...it.edge, private: "no" } }) }, /R2 has no `no`/],
  ["another key", { change: (it) => ({ ...it, keys: ["00".repeat(32)] }) }, /is refused/],
  ["an expired snapshot", { change: ({ at, ...it }) => it }, /snapshot is valid from/],
]) {
  test(`the origin's page passes with ${what}`, async () => {
    await withEdge(options, (edge) => passes(edge, why));
  });
}

for (const [what, make] of [
  ["a trap", (module) => module.unreachable()],
  ["a reply outside the memory", (module) => module.i32.const(0x7ffffff0)],
  ["no reply", (module) => module.i32.const(0)],
]) {
  test(`the origin's page passes with ${what}, and the next request has a new instance`, async () => {
    await withEdge({ module: ranking(make) }, async (edge) => {
      for (let n = 0; n < 3; n += 1) {
        const text = await (await edge.get("/")).text();
        assert.equal(text.replace(' data-tradewind-region="SEA"', ""), HOME);
      }
      const init = { method: "POST", headers: { "content-type": "application/json" } };
      assert.equal((await edge.get("/v1/rank", { ...init, body: `{"at":"${AT}","limit":1}` })).status, 503);
      assert.equal((await edge.get("/v1/quote", { ...init, body: '{"sku":"1082185"}' })).status, 200);
      assert.equal((await edge.get("/healthz")).status, 200);
    });
  });
}

test("an origin that refuses the connection gives an error, and a slow one is awaited", async () => {
  await withEdge({ origin: "http://127.0.0.1:9" }, async (edge) => {
    const response = await edge.get("/");
    assert.equal(response.status, 502);
    assert.match(await response.text(), /cannot be reached/);
  });
  const slow = await startOrigin({
    "/": (_, response) =>
      setTimeout(() => response.writeHead(200, { "content-type": "text/html" }).end(HOME), 2_500),
  });
  await withEdge({ origin: slow.url }, async (edge) => {
    assert.equal(cards(await (await edge.get("/")).text()).length, 4);
  });
  slow.close();
});

test("a new configuration replaces the old one, and an invalid one does not", async () => {
  const often = (config) => ({ ...config, edge: { ...config.edge, refresh_seconds: 0 } });
  await withEdge({ change: often }, async (edge) => {
    const card = async () => (await (await edge.get("/")).text()).match(/<a (class|id)="card"/)?.[1];
    const until = async (check) => {
      for (let n = 0; n < 100; n += 1) if (await check()) return;
      assert.fail("it never came");
    };
    assert.equal(await card(), "class");
    const health = async () => (await (await edge.get("/healthz")).json()).trouble;
    await edge.configure({ ...often(configuration()), packs: ["/tradewind/no.pack"] });
    await until(async () => /no\.pack/.test(await health()));
    assert.equal(await card(), "class");
    await edge.configure({ ...often(configuration()), card: '<a id="card">{title}</a>' });
    await until(async () => (await card()) === "id");
    assert.equal(await health(), null);
  });
});

/** Sends a part of a request, and the rest when `rest` is called. */
function begun(edge, path, part) {
  const headers = { "content-type": "application/json", cookie: "tw_region=SEA" };
  const asked = request(new URL(path, edge.direct), { method: "POST", headers });
  const answered = once(asked, "response").then(async ([response]) => {
    let text = "";
    for await (const piece of response.setEncoding("utf8")) text += piece;
    return { status: response.statusCode, type: response.headers["content-type"], text };
  });
  asked.write(part);
  return { answered, rest: (rest) => asked.end(rest) };
}

/** Checks that a running request soon gets a problem as response. */
async function isGivenUp(answered) {
  const late = new Promise((_, late) => setTimeout(late, 2_000, new Error("it is not answered")).unref());
  const { status, type, text } = await Promise.race([answered, late]);
  assert.deepEqual([status, type], [503, "application/problem+json"], text);
  const { detail, ...problem } = JSON.parse(text);
  assert.deepEqual(problem, { type: "/problems#unavailable", title: "Service unavailable", status: 503 });
  assert.match(detail, /try again later/);
}

/** Fails instead of waiting forever. */
const LIMITED = { timeout: 30_000 };

const soon = (milliseconds) => new Promise((over) => setTimeout(over, milliseconds));

test("when the Worker's WebAssembly traps, running requests get a problem", LIMITED, async () => {
  await withEdge({ own: dying(HOME.length) }, async (edge) => {
    assert.equal((await edge.get("/healthz")).status, 200);
    const questions = Array.from({ length: 10 }, () => begun(edge, "/v1/quote", '{"sku":'));
    await soon(200);
    assert.equal(await (await edge.get("/")).text(), HOME);
    await Promise.all(questions.map(({ answered }) => isGivenUp(answered)));
    for (const { rest } of questions) rest('"1082185"}');
    const again = begun(edge, "/v1/quote", '{"sku":');
    again.rest('"1082185"}');
    const { status, text } = await again.answered;
    assert.equal(status, 200, text);
  });
});

test("a request during which the Worker's WebAssembly traps gets a problem, and the next one succeeds", LIMITED, async () => {
  await withEdge({ own: dyingAmid("/v1/quote".length) }, async (edge) => {
    assert.equal((await edge.get("/healthz")).status, 200);
    const other = begun(edge, "/v1/rank", '{"limit":1,');
    const question = begun(edge, "/v1/quote", '{"sku":');
    await soon(200);
    question.rest('"1082185"}');
    await isGivenUp(question.answered);
    await isGivenUp(other.answered);
    assert.equal(cards(await (await edge.get("/")).text()).length, 4);
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: `{"at":"${AT}","limit":1}` };
    assert.equal((await edge.get("/v1/rank", init)).status, 200);
  });
});

test("a page does not wait for a profile that never arrives", LIMITED, async () => {
  await withEdge({ own: neverReading() }, async (edge) => {
    assert.equal((await edge.get("/healthz")).status, 200);
    const started = Date.now();
    const page = await edge.get("/");
    assert.equal(cards(await page.text()).length, 4);
    assert.match(page.headers.get("server-timing"), /device SEA/);
    const took = Date.now() - started;
    assert.ok(took > 1_000 && took < 4_000, `${took} ms`);
  });
});

// Pages of an origin after the edge.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { cards, handover, inside, startEdge, startOrigin, stream } from "./shop.mjs";

const OWN = '<a class="own" href="/best">The origin\'s own</a>';
const page = (body) => `<!doctype html><html lang="en"><head><title>Shop</title></head><body>${body}</body></html>`;
const slot = (limit, name = "for-you") => `<tradewind-slot name="${name}" limit="${limit}">${OWN}</tradewind-slot>`;
const price = (sku) => `<tradewind-price sku="${sku}">$9.99</tradewind-price>`;

const HOME = page(`<h1>Café</h1>${slot(8)}<p>Bananas ${price("1082185")}</p><footer>Imprint</footer>`);
const html = (response, status = 200, headers = {}) =>
  response.writeHead(status, { "content-type": "text/html; charset=utf-8", ...headers });

const pages = {
  "/": HOME,
  "/two": page(slot(4, "first") + slot(4, "second")),
  "/many": page(Array.from({ length: 12 }, (_, n) => slot(2, `slot-${n}`)).join("")),
  "/odd": page(`<tradewind-slots limit="4">${OWN}</tradewind-slots>${price("no-such-sku")}${price("")}<tradewind-price>9</tradewind-price>`),
  "/no-limit": page(`<tradewind-slot name="a">${OWN}</tradewind-slot>`),
  "/no-end-tags": `<!doctype html><title>Shop</title><h1>x</h1>${slot(4)}<p>${price("1082185")}`,
  "/unclosed-slot": page(`<main><tradewind-slot name="for-you" limit="4">${OWN}</main><footer>Imprint</footer>`),
  "/unclosed-price": page(`<p>Bananas <tradewind-price sku="1082185">$9.99</p><footer>Imprint</footer>`),
  "/nested": page(`<tradewind-slot name="a" limit="4">${slot(4, "b")}${OWN}</tradewind-slot><footer>Imprint</footer>`),
  "/broken": `<html><body><div><p <b>>${slot(4)}<!-- <tradewind-price sku="1"> </div></table><script>if (a < b) {</script>`,
  "/gzip": (_, response) => html(response, 200, { "content-encoding": "gzip" }).end(gzipSync(HOME)),
  "/latin-1": (_, response) =>
    response.writeHead(200, { "content-type": "text/html; charset=iso-8859-1" }).end(Buffer.from(HOME, "latin1")),
  "/cookies": (_, response) => html(response, 200, { "set-cookie": ["a=1; Path=/", "b=2; Path=/"] }).end(HOME),
  "/data.json": (_, response) =>
    response.writeHead(200, { "content-type": "application/json", etag: '"data"' }).end(`{"html":"${slot(4).replaceAll('"', "'")}"}`),
  "/kept": (_, response) => response.writeHead(304, { etag: '"origin"' }).end(),
  "/zipped.css": (_, response) =>
    response.writeHead(200, { "content-type": "text/css", "content-encoding": "gzip" }).end(gzipSync("a { color: red }")),
  "/empty": (_, response) => html(response).end(),
  "/missing": (_, response) => html(response, 404).end(HOME),
  "/error": (_, response) => html(response, 503, { "retry-after": "7" }).end(HOME),
  "/moved": (_, response) => response.writeHead(302, { location: "/" }).end(),
  "/post": (request, response) => {
    html(response);
    request.pipe(response);
  },
};

let origin, edge;
before(async () => {
  origin = await startOrigin(pages);
  edge = await startEdge({ origin: origin.url });
});
after(async () => {
  await edge.close();
  origin.close();
});

test("a slot is filled with products that can be delivered, with prices, dates and reasons", async () => {
  const response = await edge.get("/");
  const text = await response.text();
  assert.match(text, /<html lang="en" data-tradewind-region="SEA">/);
  assert.match(text, /<tradewind-slot name="for-you" limit="8" data-tradewind="edge">/);
  const shown = cards(text);
  assert.equal(shown.length, 8);
  assert.equal(new Set(shown.map(({ sku }) => sku)).size, 8);
  for (const card of shown) assert.match(card.text, /\$\d+\.\d\d Dec \d.*(orders|bought)/);
  assert.doesNotMatch(text, /origin's own|\$9\.99/);
  assert.match(inside(text, "tradewind-price"), /^\$\d+\.\d\d$/);
  assert.ok(text.includes("<h1>Café</h1>") && text.endsWith("</body></html>"), "the rest is the origin's");
  assert.match(response.headers.get("server-timing"), /tradewind;desc="device SEA"/);
});

test("a page filled for a region is not kept by shared caches, and loses the origin's validators", async () => {
  const { headers } = await edge.get("/");
  assert.equal(headers.get("cache-control"), "private, no-cache");
  assert.equal(headers.get("etag"), null);
});

test("other regions get other products and days; without promises the page is unchanged", async () => {
  const from = async (cf, headers) => (await edge.get("/", { cf, headers })).text();
  const miami = await from({ country: "US", latitude: "25.8", longitude: "-80.2" });
  assert.match(miami, /data-tradewind-region="MIA"/);
  assert.notDeepEqual(cards(miami), cards(await from(undefined)));
  assert.match(await from(undefined, { cookie: "a=b; tw_region=BOS" }), /data-tradewind-region="BOS"/);
  const unknown = { country: "US", latitude: "", longitude: "" };
  for (const nowhere of [{ country: "FR", latitude: "48.9", longitude: "2.4" }, unknown]) {
    const response = await edge.get("/", { cf: nowhere });
    assert.match(response.headers.get("server-timing"), /tradewind;desc="passed"/);
    assert.equal(response.headers.get("etag"), '"origin"');
    assert.equal(await response.text(), HOME);
  }
  assert.equal(await from(undefined, { cookie: "tw_region=ATLANTIS" }), HOME);
});

test("without a profile the page gets prices only, and nothing that reveals costs", async () => {
  const { region, slots, quotes } = handover(await (await edge.get("/")).text());
  assert.equal(region, "SEA");
  assert.deepEqual(slots, []);
  assert.ok(quotes.length >= 8);
  for (const { sku, request, quote } of quotes) {
    assert.ok(Buffer.from(request, "base64").length > 40);
    assert.deepEqual(
      Object.keys(quote),
      ["sku", "currency", "price", "list", "lowest_30_days", "reasons", "at", "valid_until", "snapshot"],
    );
    assert.equal(quote.sku, sku);
    assert.ok(quote.reasons.every((reason) => ["locked", "unchanged", "lowered", "raised"].includes(reason)));
  }
});

test("slots of one page do not repeat each other, and their number is limited", async () => {
  const two = cards(await (await edge.get("/two")).text()).map(({ sku }) => sku);
  assert.equal(new Set(two).size, 8);
  const many = await (await edge.get("/many")).text();
  assert.equal(many.match(/data-tradewind="edge"/g).length, 8);
  assert.equal(many.match(/class="own"/g).length, 4);
});

test("an invalid slot or price stays unchanged", async () => {
  assert.equal(strip(await (await edge.get("/odd")).text()), pages["/odd"]);
  assert.equal(cards(await (await edge.get("/no-limit")).text()).length, 8);
});

test("a page without end tags is filled and gets its prices all the same", async () => {
  const text = await (await edge.get("/no-end-tags")).text();
  assert.equal(cards(text).length, 4);
  assert.ok(handover(text).quotes.length >= 4);
});

test("no part of a page is lost if a slot or price does not end", async () => {
  for (const path of ["/unclosed-slot", "/unclosed-price", "/nested"]) {
    assert.equal(strip(await (await edge.get(path)).text()), pages[path], path);
  }
});

test("an invalid page passes unchanged", async () => {
  const text = await (await edge.get("/broken")).text();
  const rest = strip(text).replace(/<tradewind-slot.*<\/tradewind-slot>/, slot(4));
  assert.equal(rest.replace(/<script type="application\/tradewind".*<\/script>/, ""), strip(pages["/broken"]));
});

test("compressed pages and pages in other encodings are filled", async () => {
  assert.equal(cards(await (await edge.get("/gzip")).text()).length, 8);
  const latin = Buffer.from(await (await edge.get("/latin-1")).arrayBuffer()).toString("latin1");
  assert.equal(cards(latin).length, 8);
  assert.ok(latin.includes("<h1>Café</h1>"));
});

test("the origin's cookies all arrive", async () => {
  assert.deepEqual((await edge.get("/cookies")).headers.getSetCookie(), ["a=1; Path=/", "b=2; Path=/"]);
});

test("responses other than pages pass unchanged: data, errors, redirects, forms, 304", async () => {
  const data = await edge.get("/data.json");
  assert.equal(data.headers.get("etag"), '"data"');
  assert.match(await data.text(), /^\{"html":"<tradewind-slot/);
  const error = await edge.get("/error");
  assert.deepEqual([error.status, error.headers.get("retry-after"), await error.text()], [503, "7", HOME]);
  const missing = await edge.get("/missing");
  assert.deepEqual([missing.status, await missing.text()], [404, HOME]);
  const moved = await edge.get("/moved");
  assert.deepEqual([moved.status, moved.headers.get("location")], [302, "/"]);
  const kept = await edge.get("/kept", { headers: { "if-none-match": '"origin"' } });
  assert.deepEqual([kept.status, kept.headers.get("etag")], [304, '"origin"']);
  assert.equal(await (await edge.get("/zipped.css")).text(), "a { color: red }");
  assert.equal(await (await edge.get("/empty")).text(), "");
  const head = await edge.get("/", { method: "HEAD" });
  assert.deepEqual([head.status, head.headers.get("etag")], [200, '"origin"']);
  const posted = await edge.get("/post", { method: "POST", body: HOME });
  assert.equal(await posted.text(), HOME);
});

test("a page streams: bytes arrive before the origin has finished", async () => {
  let finish;
  pages["/slow"] = (_, response) => {
    html(response).write(`<!doctype html><body><h1>Shop</h1>${slot(4)}<p>`);
    finish = () => response.end("later</p>");
  };
  let text = "";
  for await (const bytes of await stream(edge, "/slow")) {
    text += bytes;
    if (finish && cards(text).length === 4) {
      finish();
      finish = undefined;
    }
  }
  assert.ok(text.includes("later"));
});

test("if an origin breaks off in the middle of a slot, all bytes sent before arrive", async () => {
  pages["/breaks-off"] = (_, response) => {
    html(response).write(`<!doctype html><body><h1>Shop</h1><tradewind-slot name="a" limit="4">${OWN}`);
    setTimeout(() => response.destroy(), 50);
  };
  let text = "";
  try {
    for await (const bytes of await stream(edge, "/breaks-off")) text += bytes;
  } catch {
    // It did break off.
  }
  assert.match(text, /<h1>Shop<\/h1>/);
});

test("the origin gets the client's host, protocol and cookies", async () => {
  let asked;
  pages["/asked"] = (request, response) => {
    asked = request.headers;
    html(response).end("<p>");
  };
  await (await edge.get("/asked?a=1", { headers: { cookie: "session=1" } })).text();
  assert.equal(asked["x-forwarded-host"], "shop.example");
  assert.equal(asked["x-forwarded-proto"], "https");
  assert.equal(asked.cookie, "session=1");
});

/** A page without the data that every page gets. */
function strip(text) {
  return text.replace(' data-tradewind-region="SEA"', "");
}

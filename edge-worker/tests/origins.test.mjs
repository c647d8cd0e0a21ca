// Unusual responses of an origin while other shoppers' pages stream: all of these arrive complete.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { get } from "node:http";
import { gzipSync } from "node:zlib";
import { dying } from "./module.mjs";
import { cards, handover, inside, startEdge, startOrigin, stream } from "./shop.mjs";

const SLOT = '<tradewind-slot name="a" limit="4">own</tradewind-slot>';
const ITEMS = `<ul>${"<li>x".repeat(18_000)}`;
const asked = {};
const bytes = (name, status, headers, body) => (_, response) => {
  asked[name] = (asked[name] ?? 0) + 1;
  response.writeHead(status, headers).end(body);
};
const html = (charset) => ({ "content-type": charset === undefined ? "text/html" : `text/html; charset=${charset}` });

/** Name, status, headers, body: each passes unchanged. */
const UNTOUCHED = [
  ["charset-none", 200, html("none"), "<p>own</p>"],
  ["charset-utf8mb4", 200, html("utf8mb4"), SLOT],
  ["charset-latin-1", 200, html("latin-1"), Buffer.from(`<p>Zürich</p>${SLOT}`, "latin1")],
  ["charset-utf-16", 200, html("utf-16"), Buffer.from(SLOT, "utf16le")],
  ["charset-utf-16be", 200, html('"UTF-16BE"'), Buffer.from(SLOT, "utf16le").swap16()],
  ["charset-utf-7", 200, html("utf-7"), SLOT],
  ["charset-iso-2022-jp", 200, html("iso-2022-jp"), SLOT],
  ["charset-replacement", 200, html("hz-gb-2312"), SLOT],
  ["charset-empty", 200, html(""), SLOT],
  ["charset-long", 200, html("x".repeat(4_000)), SLOT],
  ["charset-odd", 200, html("\xff\xfe"), SLOT],
  ["utf-16-by-its-mark", 200, html(), Buffer.from(`\ufeff${SLOT}`, "utf16le")],
  ["utf-16-by-its-mark-in-utf-8", 200, html("utf-8"), Buffer.from(`\ufeff${SLOT}`, "utf16le")],
  ["iso-2022-jp-by-an-element", 200, html(), `<meta charset=iso-2022-jp>${SLOT}`],
  ["xhtml", 200, { "content-type": "application/xhtml+xml" }, SLOT],
  ["no-type", 200, {}, SLOT],
  ["odd-type", 200, { "content-type": ";;text/html" }, SLOT],
  ["no-transform", 200, { ...html("utf-8"), "cache-control": "public, No-Transform" }, SLOT],
  ["encoding-GZIP", 200, { ...html("utf-8"), "content-encoding": "GZIP" }, gzipSync(SLOT)],
  ["encoding-zstd", 200, { ...html("utf-8"), "content-encoding": "zstd" }, "zstd"],
  ["created", 201, html("utf-8"), SLOT],
  ["parts", 206, html("utf-8"), SLOT],
  ["status-299", 299, html("utf-8"), SLOT],
  ["status-418", 418, html("utf-8"), SLOT],
  ["status-599", 599, html("utf-8"), SLOT],
  ["many-list-items", 200, html("utf-8"), ITEMS],
  ["nothing-in-markup", 200, html("utf-8"), `<!-- ${SLOT} --><script>"${SLOT}"</script><p title='${SLOT}'><textarea>${SLOT}`],
];

const pages = Object.fromEntries(UNTOUCHED.map(([name, ...answer]) => [`/${name}`, bytes(name, ...answer)]));
let origin, edge;
before(async () => {
  pages["/typed"] = bytes("typed", 200, html("utf-8"), SLOT);
  pages["/slow"] = (request, response) => {
    response.writeHead(200, html("utf-8")).write(`<!doctype html><body>${SLOT}<p>`);
    waiting.push(() => response.end("<footer>the end</footer></body>"));
  };
  origin = await startOrigin(pages);
  edge = await startEdge({ origin: origin.url });
});
after(async () => {
  await edge.close();
  origin.close();
});

let waiting = [];
/** Runs `work` while twenty pages stream, which must arrive complete. */
async function amid(work) {
  waiting = [];
  const under = Array.from({ length: 20 }, async () => {
    let text = "";
    for await (const piece of await stream(edge, "/slow")) text += piece;
    return text;
  });
  while (waiting.length < under.length) await new Promise((later) => setTimeout(later, 10));
  try {
    return await work();
  } finally {
    for (const finish of waiting) finish();
    for (const text of await Promise.all(under)) {
      assert.equal(cards(text).length, 4);
      assert.match(text, /<footer>the end<\/footer>.*<\/body>$/);
    }
  }
}

for (const [name, status, headers, body] of UNTOUCHED) {
  test(`${name} passes unchanged`, async () => {
    await amid(async () => {
      asked[name] = 0;
      const response = await edge.get(`/${name}`, { headers: { "accept-encoding": "identity" } });
      const whole = Buffer.from(await response.arrayBuffer());
      assert.equal(response.status, status);
      // Upper-case `GZIP` is not decoded for the client either: miniflare passes it on.
      assert.ok(whole.equals(Buffer.from(body)) || headers["content-encoding"], whole.subarray(0, 200).toString("latin1"));
      assert.equal(asked[name], 1, "the origin is asked once");
    });
  });
}

/** Any response. */
function raw(edge, path) {
  return new Promise((done) => {
    const headers = { "accept-encoding": "identity", cookie: "tw_region=SEA" };
    const asked = get(new URL(path, edge.direct), { headers }, async (response) => {
      let text = "";
      response.on("error", () => {});
      try {
        for await (const piece of response) text += piece;
      } catch {
        // It broke off, as it did before.
      }
      done({ status: response.statusCode, text });
    });
    asked.on("error", () => done({ text: "" }));
  });
}

for (const [name, answer] of Object.entries({
  "status-600": "HTTP/1.1 600 Odd\r\ncontent-type: text/html\r\ncontent-length: 10\r\n\r\n<p>own</p>",
  "status-999": "HTTP/1.1 999 Odd\r\ncontent-type: text/html\r\ncontent-length: 10\r\n\r\n<p>own</p>",
  "status-204-with-a-body": "HTTP/1.1 204 No Content\r\ncontent-type: text/html\r\n\r\n<p>own</p>",
  "status-304-with-a-body": "HTTP/1.1 304 Not Modified\r\ncontent-type: text/html\r\n\r\n<p>own</p>",
  "raw-103": "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n",
  "raw-101": "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
  "raw-100": "HTTP/1.1 100 Continue\r\n\r\n",
  "no-http": "hello\r\n\r\n",
  nothing: "",
  "odd-header": "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nx-\xff: \xfe\r\ncontent-length: 10\r\n\r\n<p>own</p>",
  "broken-gzip": "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-encoding: gzip\r\ncontent-length: 10\r\n\r\n<p>own</p>",
  "short": "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 100\r\n\r\n<p>own</p>",
})) {
  test(`${name} gets a response at once, and does not affect other requests`, async () => {
    pages[`/${name}`] = (request) => request.socket.end(Buffer.from(answer, "latin1"));
    await amid(async () => {
      const started = Date.now();
      // Not through `fetch` or miniflare, which take no such status either.
      const { status, text } = await raw(edge, `/${name}`);
      assert.ok(Date.now() - started < 5_000);
      const sent = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
      if (sent >= 600) assert.deepEqual([status, text], [sent, "<p>own</p>"]);
    });
    // And the next page is filled as ever.
    assert.equal(cards(await (await edge.get("/typed")).text()).length, 4);
  });
}

test("when the Worker's WebAssembly traps, all pages continue unchanged, and the next one is filled", async () => {
  const deadly = (length) => `${SLOT}<tradewind-slot name="b" limit="4">`.padEnd(length, "x");
  pages["/dies"] = (_, response) => response.writeHead(200, html("utf-8")).end(deadly(666));
  pages["/dies-later"] = async (_, response) => {
    response.writeHead(200, html("utf-8")).write(`${SLOT}<tradewind-price sku="1082185">own`);
    setTimeout(() => response.end("".padEnd(666, "y")), 200);
  };
  const edge = await startEdge({ origin: origin.url, own: dying(300) });
  const whole = async (path) => {
    const { status, text } = await raw(edge, path);
    assert.equal(status, 200);
    return text;
  };
  try {
    assert.equal(cards(await (await edge.get("/typed")).text()).length, 4);
    waiting = [];
    const under = Array.from({ length: 20 }, async () => {
      let text = "";
      for await (const piece of await stream(edge, "/slow")) text += piece;
      return text;
    });
    while (waiting.length < under.length) await new Promise((later) => setTimeout(later, 10));
    assert.equal(await whole("/dies"), deadly(666));
    for (const finish of waiting) finish();
    // They were filled up to here, and go on.
    for (const text of await Promise.all(under)) assert.match(text, /<footer>the end<\/footer><\/body>$/);
    // It has begun again.
    assert.equal(cards(await (await edge.get("/typed")).text()).length, 4);
    const later = await whole("/dies-later");
    assert.ok(later.endsWith(`<tradewind-price sku="1082185">own${"".padEnd(666, "y")}`), later);
    assert.equal(cards(await (await edge.get("/typed")).text()).length, 4);
    assert.equal((await edge.get("/healthz")).status, 200);
  } finally {
    await edge.close();
  }
});

test("media types and charsets are read as HTTP has them", async () => {
  for (const type of ["Text/HTML", "TEXT/HTML ;Charset=UTF-8", 'text/html; charset="utf-8"', "text/html; a=b; charset=utf8", "text/html;charset= Latin1"]) {
    pages["/typed"] = (_, response) => response.writeHead(200, { "content-type": type }).end(SLOT);
    const response = await edge.get("/typed");
    assert.equal(cards(await response.text()).length, 4, type);
    assert.equal(response.headers.get("content-type"), type);
  }
});

test("a page with 18,000 open elements is filled before and after them", async () => {
  pages["/items"] = (_, response) => response.writeHead(200, html("utf-8")).end(SLOT + ITEMS + SLOT);
  const text = await (await edge.get("/items")).text();
  assert.equal(cards(text).length, 8);
  assert.ok(text.includes(ITEMS));
});

const LEAVE = {
  "cache-control": "no-store",
  "cdn-cache-control": "public, max-age=600",
  "cloudflare-cdn-cache-control": "public, max-age=600",
  "surrogate-control": "max-age=600",
  "surrogate-key": "a",
  "cache-tag": "a",
  "x-accel-expires": "600",
  "edge-control": "max-age=600",
  expires: "Thu, 01 Dec 2044 16:00:00 GMT",
  pragma: "public",
  age: "5",
  etag: '"origin"',
  "last-modified": "Thu, 01 Dec 1994 16:00:00 GMT",
  "accept-ranges": "bytes",
  digest: "sha-256=a",
  "content-digest": "sha-256=:a:",
  "repr-digest": "sha-256=:a:",
  "content-md5": "a",
  signature: "a=:b:",
  "signature-input": "a=()",
  "x-of-the-shop": "1",
};
const STAY = {
  "content-language": "de",
  "content-security-policy": "default-src 'self'",
  "strict-transport-security": "max-age=1",
  "referrer-policy": "origin",
  "permissions-policy": "camera=()",
  "cross-origin-opener-policy": "same-origin",
  "x-frame-options": "DENY",
  "x-content-type-options": "nosniff",
  "x-robots-tag": "noindex",
  link: "</a.css>; rel=preload",
  vary: "Accept-Language",
  "content-disposition": "inline",
  "hx-trigger": "shown",
  "reporting-endpoints": 'a="/b"',
  "set-cookie": ["a=1; Path=/", "b=2; Path=/"],
};

test("a filled page is not cacheable, and keeps headers unrelated to caches", async () => {
  pages["/leave"] = (_, response) => response.writeHead(200, { ...html("utf-8"), ...LEAVE, ...STAY }).end(SLOT);
  const { headers } = await edge.get("/leave");
  for (const name of Object.keys(LEAVE)) {
    assert.equal(headers.get(name), name === "cache-control" ? "private, no-store" : null, name);
  }
  for (const [name, value] of Object.entries(STAY)) {
    if (name !== "set-cookie") assert.equal(headers.get(name), value, name);
  }
  assert.deepEqual(headers.getSetCookie(), STAY["set-cookie"]);
});

test("the stricter of both caching rules applies to each page", async () => {
  for (const [said, expected] of [
    [undefined, "private, no-cache"],
    ["public, s-maxage=600", "private, no-cache"],
    ["No-Store", "private, no-store"],
    ["max-age=0, must-understand, no-store", "private, no-store"],
    ['private="a, no-store, b", max-age=1', "private, no-cache"],
  ]) {
    pages["/caching"] = (_, response) =>
      response.writeHead(200, { ...html("utf-8"), ...(said && { "cache-control": said }) }).end(SLOT);
    assert.equal((await edge.get("/caching")).headers.get("cache-control"), expected, said);
  }
});

test("a page without anything to fill keeps the origin's headers", async () => {
  const empty = `<!doctype html><html><body>${"<p>words and words</p>".repeat(3_000)}</body></html>`;
  pages["/empty"] = (_, response) => response.writeHead(200, { ...html("utf-8"), ...LEAVE, ...STAY }).end(empty);
  const response = await edge.get("/empty");
  for (const [name, value] of Object.entries({ ...LEAVE, ...STAY })) {
    if (name !== "set-cookie") assert.equal(response.headers.get(name), value, name);
  }
  assert.equal(await response.text(), empty);
  assert.match(response.headers.get("server-timing"), /passed/);
});

test("the Worker does not wait for an origin that pauses before its first slot", async () => {
  pages["/pauses"] = (_, response) => {
    response.writeHead(200, { ...html("utf-8"), etag: '"origin"' }).write("<!doctype html><html><p>first");
    setTimeout(() => response.end(`${SLOT}</html>`), 1_500);
  };
  const started = Date.now();
  let first;
  let text = "";
  for await (const piece of await stream(edge, "/pauses")) {
    first ??= Date.now() - started;
    text += piece;
  }
  assert.ok(first < 1_000, `${first} ms`);
  assert.equal(cards(text).length, 4);
  assert.match(text, /<html data-tradewind-region="SEA">/);
  const { headers } = await edge.get("/pauses");
  assert.deepEqual([headers.get("etag"), headers.get("cache-control")], [null, "private, no-cache"]);
});

test("a page that asks only for the region gets it", async () => {
  pages["/region"] = (_, response) =>
    response.writeHead(200, { ...html("utf-8"), etag: '"origin"' }).end("<html lang=en data-tradewind-region><p>own</html>");
  const response = await edge.get("/region");
  assert.equal(await response.text(), '<html lang=en data-tradewind-region="SEA"><p>own</html>');
  assert.deepEqual([response.headers.get("etag"), response.headers.get("cache-control")], [null, "private, no-cache"]);
});

test("text that looks like markup is ignored, and entities are decoded", async () => {
  const PRICE = '<tradewind-price sku="1082185">own</tradewind-price>';
  const text = async (body) => {
    pages["/markup"] = (_, response) => response.writeHead(200, html("utf-8")).end(body);
    return (await edge.get("/markup")).text();
  };
  for (const wrapped of [
    (it) => `<!-- ${it} -->`,
    (it) => `<script>const a = '${it}';</script>`,
    (it) => `<style>${it}</style>`,
    (it) => `<textarea>${it}</textarea>`,
    (it) => `<title>${it}</title>`,
    (it) => `<iframe>${it}</iframe>`,
    (it) => `<noscript>${it}</noscript>`,
    (it) => `<template>${it}</template>`,
    (it) => `<p title='${it}'>`,
    (it) => `<svg><![CDATA[${it}]]></svg>`,
    (it) => `<math><mi><![CDATA[${it}]]></mi></math>`,
  ]) {
    for (const part of ['<tradewind-slot name="x">', "</tradewind-slot>", PRICE, SLOT]) {
      const body = `${wrapped(part)}${SLOT}<p>REST`;
      const page = await text(body);
      assert.equal(cards(page).length, 4, body);
      assert.ok(page.startsWith(wrapped(part)) && page.includes("<p>REST"), body);
      const open = await text(`${PRICE}<tradewind-slot name="s" limit="4">own${wrapped(part)}<p>REST`);
      assert.match(open, /REST/);
    }
  }
  assert.match(await text('<tradewind-price sku="1&#48;8&#x32;185">9</tradewind-price>'), /data-tradewind="edge">\$\d/);
});

test("a slot that is hydrated keeps its children", async () => {
  pages["/hydrate"] = (_, response) =>
    response.writeHead(200, html("utf-8")).end('<tradewind-slot name=a limit=4 hydrate><b>own</b></tradewind-slot>');
  const text = await (await edge.get("/hydrate")).text();
  assert.match(
    text,
    /^<tradewind-slot name=a limit=4 hydrate data-tradewind="edge"><template shadowrootmode="open"><slot name="tradewind"><\/slot><\/template><b>own<\/b><!--\/\$--><slot slot="tradewind"><a class="card".*<\/a><\/slot><\/tradewind-slot>/,
  );
  assert.equal(cards(text).length, 4);
  assert.ok(handover(text) && inside(text, "b") === "own");
});

// Elements recognised by the edge, compared with Chromium's, on random pages.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startChromium } from "../../browser-sdk/tests/chromium.mjs";
import { products, startEdge, startOrigin } from "./shop.mjs";

const PAGES = 600;
const SKUS = Object.keys(products).slice(0, 60);
const pages = {};
let origin, edge, chromium, tab;
before(async () => {
  origin = await startOrigin(pages);
  edge = await startEdge({ origin: origin.url });
  chromium = await startChromium();
  tab = await chromium.page();
});
after(async () => {
  await chromium.close();
  await edge.close();
  origin.close();
});

/** Pseudo-random numbers, identical on every machine. */
function chance(seed) {
  return (below) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
}
const one = (random, of) => of[random(of.length)];

/** A price, in one of several equivalent spellings. */
function price(random) {
  const sku = one(random, SKUS);
  const digit = (letter) => (random(4) ? letter : one(random, [`&#${letter.charCodeAt()};`, `&#x${letter.charCodeAt().toString(16)};`]));
  const value = [...sku].map(digit).join("");
  const tag = one(random, ["tradewind-price", "TRADEWIND-PRICE", "Tradewind-Price"]);
  const attribute = one(random, [`sku="${value}"`, `sku='${value}'`, `sku=${value}`, `SKU = "${value}" sku=1`, `a="<b>"\nsku="${value}"`, `b sku="${value}" /`]);
  return `<${tag} ${attribute}>own</${tag}>`;
}

/** Contexts in which a tag is an element or not, and which end. */
const AROUND = [
  (it) => `<div>${it}</div>`,
  (it) => `<p>${it}`,
  (it) => `<ul><li>${it}<li>x</ul>`,
  (it) => `<table><tr><td>${it}</table>`,
  (it) => `<a href="?a=1&b">${it}</a>`,
  (it) => `<b><i>${it}</b></i>`,
  (it) => `<button>${it}</button>`,
  (it) => `<video>${it}</video>`,
  (it) => `<object>${it}</object>`,
  (it) => `<x-y>${it}</x-y>`,
  (it) => `<!-- ${it} -->${it}`,
  (it) => `<!-- -- ${it} --!>${it}`,
  (it) => `<!--><!-- ${it} --->${it}`,
  (it) => `<!doctype ${it}`,
  (it) => `<? ${it}`,
  (it) => `</ ${it}`,
  (it) => `<script>"${it}"</script>${it}`,
  (it) => `<script><!-- <script> ${it} </script> ${it} --></script>${it}`,
  (it) => `<script>/*<!--*/ ${it} </script>${it}`,
  (it) => `<style>${it}</style>${it}`,
  (it) => `<textarea>${it}</textarea>${it}`,
  (it) => `<title>${it}</title>${it}`,
  (it) => `<xmp>${it}</xmp>${it}`,
  (it) => `<iframe>${it}</iframe>${it}`,
  (it) => `<noscript>${it}</noscript>${it}`,
  (it) => `<noembed>${it}</noembed>${it}`,
  (it) => `<noframes>${it}</noframes>${it}`,
  (it) => `<template>${it}</template>${it}`,
  (it) => `<svg><![CDATA[${it}]]></svg>${it}`,
  (it) => `<svg><style>x</style><path d="M0"/></svg>${it}`,
  (it) => `<math><mi>x</mi><mo><![CDATA[${it}]]></mo></math>${it}`,
  (it) => `<svg><title>x</title><div>${it}</div>`,
  (it) => `<![CDATA[${it}]]>${it}`,
  (it) => `<p title='${it.replaceAll("'", '"')}'>${it}</p>`,
  (it) => `1 < 2 && <3 ${it}`,
];

/** Random markup that browsers accept. */
const SOUP = [
  ..."<>&-!/='\" \n",
  ..."div p b a svg math title style script textarea template select option table td tr li foreignObject desc mi annotation-xml font noscript plaintext".split(" ").flatMap((name) => [`<${name}>`, `</${name}>`]),
  "<svg/>", "<path/>", "<font size=1>", "<!--", "-->", "--!>", "<!-->", "<![CDATA[", "]]>", "<!", "<?", "</", "<a b='", "<a b=\"", "<a b=", "text",
];

/** What Chromium makes of documents: its prices, by SKU, and which of them the edge filled. */
function parsed(documents) {
  return tab.evaluate((documents) => {
    const frame = document.createElement("iframe");
    document.body.append(frame);
    return documents.map((html) => {
      const page = frame.contentDocument;
      // As in a page: with scripts.
      page.open();
      page.write(html);
      page.close();
      const all = [...page.querySelectorAll("tradewind-price")].filter((it) => it.namespaceURI === "http://www.w3.org/1999/xhtml");
      return all.map((it) => ({ sku: it.getAttribute("sku"), text: it.textContent, edge: it.getAttribute("data-tradewind") === "edge" }));
    });
  }, documents);
}

/** The page that the edge was given, from the one that it gave. */
function undone(html) {
  return html
    .replace(/<script type="application\/tradewind" id="tradewind-handover">.*?<\/script>/s, "")
    .replace(/ data-tradewind="edge"([^>]*>)\$[\d.,]+</g, "$1own<")
    .replaceAll(' data-tradewind-region="SEA"', "");
}

async function through(documents) {
  const filled = [];
  for (const html of documents) {
    pages["/page"] = (_, response) => response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(html);
    filled.push(await (await edge.get("/page")).text());
  }
  return filled;
}

/** Checks what holds of any page, and returns how many prices there were and how many were filled. */
async function compared(documents) {
  const filled = await through(documents);
  const [before, after] = [await parsed(documents), await parsed(filled)];
  let [found, done] = [0, 0];
  for (const [n, html] of documents.entries()) {
    assert.equal(undone(filled[n]), html);
    const written = filled[n].match(/ data-tradewind="edge"/g)?.length ?? 0;
    const edge = after[n].filter((it) => it.edge);
    assert.equal(edge.length, written, `filled what is no element:\n${html}\n→\n${filled[n]}`);
    assert.deepEqual(after[n].map(({ sku }) => sku), before[n].map(({ sku }) => sku), `other elements:\n${html}`);
    found += before[n].length;
    done += written;
  }
  return { filled, before, found, done };
}

test("in valid pages all of Chromium's prices are filled, and nothing else", async () => {
  const random = chance(1);
  const documents = Array.from({ length: PAGES }, () => {
    const parts = Array.from({ length: 1 + random(5) }, () => {
      const inner = price(random);
      const around = one(random, AROUND);
      return random(3) ? around(inner) : one(random, AROUND.slice(0, 10))(around(inner));
    });
    return `${random(2) ? "<!doctype html><html><head></head><body>" : ""}${parts.join("")}`;
  });
  const { before, filled, found, done } = await compared(documents);
  for (const [n, html] of documents.entries()) {
    const written = filled[n].match(/ data-tradewind="edge"/g)?.length ?? 0;
    assert.equal(written, before[n].length, `not all were filled:\n${html}\n→\n${filled[n]}`);
  }
  console.log(`${found} prices in ${PAGES} pages, ${done} filled`);
});

test("in arbitrary pages only elements are filled, and the rest is the origin's", async () => {
  const random = chance(2);
  const documents = Array.from({ length: PAGES }, () =>
    Array.from({ length: 5 + random(30) }, () => (random(3) ? one(random, SOUP) : price(random))).join(""),
  );
  const { found, done } = await compared(documents);
  console.log(`${found} prices in ${PAGES} pages, ${done} filled`);
  assert.ok(done > found / 4, `${done} of ${found}`);
});

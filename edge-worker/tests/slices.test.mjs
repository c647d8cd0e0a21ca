// Pages that load slices: the edge adds the products that they are about.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { handover, startEdge, startOrigin } from "./shop.mjs";

const page = (head, body = "") => `<!doctype html><html lang="en"><head><title>Shop</title>${head}</head><body>${body}</body></html>`;
const about = (...skus) => skus.map((sku) => `<meta name="tradewind-product" content="${sku}">`).join("");
const PLAIN = page(about("no-such-sku"));
const pages = {
  "/product": page(about("1082185")),
  "/order": page(about("1082185", "995242", "1082185")),
  "/plain": page(""),
  "/unknown": PLAIN,
};

let origin, edge;
before(async () => {
  origin = await startOrigin(pages);
  const change = (configuration) => ({ ...configuration, edge: { ...configuration.edge, slices: true } });
  edge = await startEdge({ origin: origin.url, change });
});
after(async () => {
  await edge.close();
  origin.close();
});

const text = async (path) => (await edge.get(path)).text();

test("a product's page has its row, its neighbours', and what is needed to show them", async () => {
  const { region, products } = handover(await text("/product"));
  assert.equal(region, "SEA");
  const own = products.find(({ row }) => row.sku === "1082185");
  assert.ok(own.row.neighbours.length > 5 && own.row.popularity > 0.01);
  assert.deepEqual(own.row.regions, ["SEA"]);
  assert.ok(own.text.title && own.text.url === "/p/1082185" && own.price > 0 && own.list >= own.price);
  assert.ok(own.days[0] <= own.days[1] && Date.parse(own.until) > Date.parse("2017-12-04T14:00:00Z"));
  const neighbours = own.row.neighbours.map(({ sku }) => sku);
  for (const { row } of products) assert.ok(row === own.row || (neighbours.includes(row.sku) && !row.neighbours.length));
});

test("a page may be about several products, each once", async () => {
  const { products } = handover(await text("/order"));
  const skus = products.map(({ row }) => row.sku);
  assert.equal(new Set(skus).size, skus.length);
  assert.deepEqual(products.filter(({ row }) => row.neighbours.length).map(({ row }) => row.sku).sort(), ["1082185", "995242"]);
});

test("other pages pass unchanged", async () => {
  assert.equal(await text("/plain"), pages["/plain"]);
  const plain = await startEdge({ origin: origin.url });
  assert.equal(await (await plain.get("/product")).text(), pages["/product"], "without `slices`");
  await plain.close();
});

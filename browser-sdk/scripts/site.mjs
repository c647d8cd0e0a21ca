// Writes what page and edge read of the demo shop: `node site.mjs FOLDER MODULE PUBLIC-KEY-FILE`.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { card } from "../storefront/card.mjs";
import { AT, products, regions } from "../storefront/catalog.mjs";

const [folder, module, key] = process.argv.slice(2);
const integrity = (bytes) => `sha384-${createHash("sha384").update(bytes).digest("base64")}`;

const texts = Object.fromEntries(products.map(({ sku, title, url, category }) => [sku, { title, url, category }]));
const document = JSON.stringify(texts);

const configuration = {
  module: { url: "/tradewind/tradewind.wasm", integrity: integrity(readFileSync(module)) },
  packs: ["/tradewind/recommend.pack", "/tradewind/price.pack"],
  snapshot: "/tradewind/public.snapshot",
  products: { url: "/tradewind/products.json", integrity: integrity(document) },
  keys: [readFileSync(key, "utf8").trim().split(" ").at(-1)],
  card,
  locale: "en-US",
  objective: { margin: 1, revenue: 1 },
  at: AT,
  edge: {
    private: "reference.snapshot",
    regions: Object.fromEntries(
      regions.map(({ code, latitude, longitude }) => [code, { country: "US", latitude, longitude }]),
    ),
    profiles: true,
  },
};

writeFileSync(join(folder, "tradewind.json"), `${JSON.stringify(configuration, null, 2)}\n`);
writeFileSync(join(folder, "products.json"), document);

// The demo shop's site with something else in it, as `startShop` takes it: files by path.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dist } from "./chromium.mjs";

/** A file of the site. */
export const site = (name) => readFileSync(dist(`site/tradewind/${name}`));
export const configuration = () => JSON.parse(site("tradewind.json"));

const pinned = (name, bytes) => ({
  url: `/tradewind/${name}`,
  integrity: `sha384-${createHash("sha384").update(bytes).digest("base64")}`,
});

/** The site with other fields in its configuration. */
export const configured = (fields) => ({ "/tradewind/tradewind.json": JSON.stringify({ ...configuration(), ...fields }) });

/** The site with another module, whose integrity is that module's own. */
export const withModule = (bytes) => ({
  ...configured({ module: pinned("tradewind.wasm", bytes) }),
  "/tradewind/tradewind.wasm": bytes,
});

/** The site with other products. */
export function withProducts(products) {
  const document = JSON.stringify(products);
  return { ...configured({ products: pinned("products.json", document) }), "/tradewind/products.json": document };
}

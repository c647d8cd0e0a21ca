// A shop for the tests: an HTTP origin, and the Worker in front of it in workerd, with the bundle that
// `wrangler deploy` would upload.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, get as httpGet } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AT, regions, table } from "../../browser-sdk/storefront/catalog.mjs";
import { bundled, dist, startWorkerd } from "./workerd.mjs";

/** Products' texts as a shop has them, from the reference catalogue. */
export const products = Object.fromEntries(
  table("products.csv").map(({ sku, name, category }) => [sku, { title: name, url: `/p/${sku}`, category }]),
);

const texts = JSON.stringify(products);
/** Subresource Integrity of a text. */
export const integrity = (text) => `sha384-${createHash("sha384").update(text).digest("base64")}`;

/** The configuration, over the reference snapshot. */
export function configuration() {
  const places = regions.map(({ code, latitude, longitude }) => [code, { country: "US", latitude, longitude }]);
  return {
    module: { url: "/tradewind/tradewind.wasm", integrity: "" },
    packs: ["/tradewind/recommend.pack", "/tradewind/price.pack"],
    snapshot: "/tradewind/public.snapshot",
    products: { url: "/tradewind/products.json", integrity: integrity(texts) },
    keys: [readFileSync(dist("keys/dev.pub"), "utf8").trim().split(" ").at(-1)],
    card: '<a class="card" href="{url}" data-sku="{sku}"><b>{title}</b> <s>{list}</s> {price} <i>{delivery}</i> {reason}</a>',
    locale: "en-US",
    objective: { margin: 1, revenue: 1 },
    at: AT,
    edge: { private: "reference.snapshot", regions: Object.fromEntries(places), profiles: true, cors: ["https://app.example"] },
  };
}

/** Serves `pages`, by path: a text, or a function that answers. */
export async function startOrigin(pages) {
  const server = createServer((request, response) => {
    const page = pages[new URL(request.url, "http://origin").pathname];
    if (typeof page === "function") return page(request, response);
    response.writeHead(page === undefined ? 404 : 200, {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "public, max-age=600",
      etag: '"origin"',
    });
    response.end(page ?? "<h1>Not here</h1>");
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, close };
}

/**
 * The Worker in workerd, before an origin. `change` alters the configuration, `module` and `own` stand in place of
 * tradewind.wasm and the Worker's own, and `assets` and `objects` of the files that the shop would publish.
 */
export async function startEdge({ origin, change = (it) => it, module, own, assets = {}, objects = {}, vars = {} }) {
  const site = mkdtempSync(join(tmpdir(), "tradewind-site-"));
  const folder = join(site, "tradewind");
  mkdirSync(folder);
  for (const name of ["recommend", "price"]) cpSync(dist(`packs/${name}.pack`), join(folder, `${name}.pack`));
  cpSync(dist("reference.public.snapshot"), join(folder, "public.snapshot"));
  writeFileSync(join(folder, "products.json"), texts);
  for (const [name, bytes] of Object.entries(assets)) writeFileSync(join(folder, name), bytes);

  const edge = await startWorkerd({ origin, site, module, own, vars });
  await edge.configure(change(configuration()));
  const whole = { "reference.snapshot": readFileSync(dist("reference.snapshot")), ...objects };
  for (const [key, bytes] of Object.entries(whole)) await edge.put(key, bytes);
  return {
    url: edge.url,
    direct: edge.direct,
    configure: edge.configure,
    put: edge.put,
    storage: edge.storage,
    bundled,
    /** Asks the Worker from Seattle, unless `cf` says from where. */
    get: (path, { headers, cf = { country: "US", latitude: "47.6", longitude: "-122.3" }, ...init } = {}) =>
      edge.worker.dispatchFetch(new URL(path, "https://shop.example"), { headers, cf, redirect: "manual", ...init }),
    async close() {
      await edge.close();
      rmSync(site, { recursive: true });
    },
  };
}

/** A page as its bytes come: `get` has miniflare compress, and so collect, them. */
export async function stream(edge, path) {
  const headers = { "accept-encoding": "identity", cookie: "tw_region=SEA" };
  const [response] = await once(httpGet(new URL(path, edge.url), { headers }), "response");
  return response.setEncoding("utf8");
}

/** The cards on a page. */
export function cards(html) {
  const found = html.matchAll(/<a class="card" href="([^"]*)" data-sku="([^"]*)">(.*?)<\/a>/g);
  return [...found].map(([, url, sku, text]) => ({ url, sku, text: text.replace(/<[^>]*>/g, "").trim() }));
}

/** What is inside the first element of a name. */
export function inside(html, name) {
  return new RegExp(`<${name}[^>]*>(.*?)</${name}>`).exec(html)?.[1];
}

/** What a page is handed. */
export function handover(html) {
  const found = /<script type="application\/tradewind" id="tradewind-handover">(.*?)<\/script>/.exec(html);
  return found && JSON.parse(found[1]);
}

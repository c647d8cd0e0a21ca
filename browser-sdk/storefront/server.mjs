// The demo shop's origin: plain pages over real products, and the checkout. It knows nothing of the edge, and its
// pages are complete without it and without scripts.
//
//   node browser-sdk/storefront/server.mjs [PORT]
//
// WAREHOUSE and WAREHOUSE_KEY name the warehouse service that orders go to, and the key of the shop's backend.
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { checkout } from "./checkout.mjs";
import { departments, products, regions } from "./catalog.mjs";
import { cartPage, categoryPage, checkoutPage, homePage, missingPage, productPage } from "./pages.mjs";

const root = join(import.meta.dirname, "../..");
const own = join(import.meta.dirname, "public");
const site = join(root, "dist/site");

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

const HEADERS = {
  "content-security-policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; base-uri 'none'; object-src 'none'; " +
    "form-action 'self'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "same-origin",
};

/**
 * Starts the shop. `files` stand in place of those of its site, by path; `change` alters a page's HTML, as an edge
 * would.
 */
export async function startShop({ port = 0, warehouse, files = {}, change = (html) => html } = {}) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://shop");
    requests.push({ method: request.method, path: request.url, cookie: request.headers.cookie ?? "" });
    try {
      const found = (await answer(request, url, { warehouse, files })) ?? missing();
      response.writeHead(found.status ?? 200, { ...HEADERS, ...found.headers });
      if (found.stream) found.stream.pipe(response);
      else response.end(found.html === undefined ? found.body : change(found.html, url));
    } catch (error) {
      response.writeHead(500, HEADERS).end(`the shop failed: ${error.message}\n`);
    }
  });
  await new Promise((listening, failed) => server.once("error", failed).listen(port, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** What was asked of it: `{ method, path, cookie }`. */
    requests,
    close() {
      server.closeAllConnections();
      return new Promise((closed) => server.close(closed));
    },
  };
}

const page = (html, status = 200) => ({
  status,
  html,
  headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-cache" },
});
const missing = () => page(missingPage(context({ headers: {} })), 404);

async function answer(request, url, { warehouse, files }) {
  const path = decodeURIComponent(url.pathname);
  if (request.method === "POST" && path === "/checkout") {
    return page(checkoutPage(context(request), await checkout(await body(request), context(request), warehouse)));
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { status: 405, body: "GET only\n", headers: { allow: "GET, HEAD" } };
  }
  const [, kind, name, ...more] = path.split("/");
  if (path === "/") return page(homePage(context(request)));
  if (path === "/cart") return page(cartPage(context(request)));
  if (path === "/region") return region(url);
  if (kind === "category" && departments.includes(name) && !more.length) {
    return page(categoryPage(context(request), name));
  }
  if (kind === "product" && !more.length) {
    const product = products.find(({ sku }) => sku === name);
    return product && page(productPage(context(request), product));
  }
  return file(path, files);
}

/** What every page depends on: the region that the shopper chose. */
function context(request) {
  const chosen = /(?:^|;\s*)tw_region=([A-Z0-9-]+)/.exec(request.headers.cookie ?? "")?.[1];
  return { region: regions.find(({ code }) => code === chosen) ?? regions[0] };
}

/** Remembers the region, and goes back. */
function region(url) {
  const code = url.searchParams.get("code");
  const back = url.searchParams.get("back") ?? "/";
  if (!regions.some((region) => region.code === code) || !/^\/(?!\/)/.test(back)) return missing();
  const cookie = `tw_region=${code}; Path=/; SameSite=Lax; Max-Age=31536000`;
  return { status: 303, body: "", headers: { location: back, "set-cookie": cookie } };
}

/** A file of the shop or its site. */
function file(path, files) {
  // Kept by the browser: what is asked for again while someone looks around would tell that they do.
  const type = {
    "content-type": TYPES[extname(path)] ?? "application/octet-stream",
    "cache-control": "public, max-age=300",
  };
  const replaced = files[path];
  if (replaced === null) return undefined;
  // One that is made for each request: its body, or a stream.
  const made = typeof replaced === "function" ? replaced() : replaced;
  if (made?.pipe) return { stream: made, headers: type };
  if (made !== undefined) return { body: made, headers: type };
  const safe = normalize(path);
  const found = [own, site].map((folder) => join(folder, safe)).find((at) => extname(at) && existsSync(at));
  return found && { stream: createReadStream(found), headers: type };
}

async function body(request) {
  let text = "";
  for await (const chunk of request) {
    text += chunk;
    if (text.length > 100_000) throw new Error("the cart is too large");
  }
  return new URLSearchParams(text);
}

if (process.argv[1] === import.meta.filename) {
  const { WAREHOUSE, WAREHOUSE_KEY } = process.env;
  const warehouse = WAREHOUSE ? { url: WAREHOUSE, key: WAREHOUSE_KEY ?? "" } : undefined;
  const shop = await startShop({ port: Number(process.argv[2] ?? 8000), warehouse });
  console.log(`The shop is open at ${shop.url}`);
}

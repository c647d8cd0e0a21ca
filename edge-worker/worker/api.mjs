// The storefront API: events, rankings, prices, offers, and how the Worker is. Errors are as RFC 9457 has them.
import digest from "../digest.mjs";
import { Events } from "../shim/tradewind_edge.js";
import { mediaType } from "./headers.mjs";
import { visitorOf } from "./pages.mjs";
import * as profiles from "./profile.mjs";
import { lastTrouble, refresh, withShop } from "./shop.mjs";
import { ask, Refusal } from "./wasm.mjs";

/** The most bytes of a request's body. */
const MAX_BODY = 512 << 10;

const TITLES = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  503: "Service Unavailable",
};

const ROUTES = {
  "/v1/events": { method: "POST", run: events },
  "/v1/rank": { method: "POST", run: rank },
  "/v1/quote": { method: "POST", run: quote },
  "/healthz": { method: "GET", run: health },
};

/** What is asked for; nothing where the path is the origin's. */
export function routeOf(path) {
  const offer = "/v1/offers/";
  if (path.startsWith(offer) && path.length > offer.length) {
    return { method: "GET", run: offered, sku: path.slice(offer.length) };
  }
  return Object.hasOwn(ROUTES, path) ? ROUTES[path] : undefined;
}

/** Answers a request to the API. */
export async function answer(route, request, env, context) {
  const headers = new Headers({ "cache-control": "no-store" });
  try {
    if (request.method !== route.method && request.method !== "OPTIONS") {
      headers.set("allow", route.method);
      throw new Refusal(405, `this is asked with ${route.method}`);
    }
    refresh(env, context);
    return await withShop((shop) => {
      allow(shop, request, route, headers);
      if (request.method === "OPTIONS") return new Response(null, { status: 204, headers });
      return route.run({ shop, request, env, headers, sku: route.sku });
    });
  } catch (error) {
    // How the Worker is includes why there is nothing.
    return problem(route.run === health ? Object.assign(error, { isPublic: true }) : error, headers);
  }
}

/** An error, as it is answered. */
function problem(error, headers) {
  let { status = 500, message: detail, fault, isPublic = false } = error;
  if (!isPublic) {
    // Of the shop's inside, the log tells, and not the answer.
    console.error(`tradewind: ${error.message}`);
    detail = "no decision can be made at the moment; try again later";
  }
  headers.set("content-type", "application/problem+json");
  const title = TITLES[status] ?? "Internal Server Error";
  return new Response(JSON.stringify({ title, status, detail, fault }), { status, headers });
}

function json(text, headers, type = "application/json") {
  headers.set("content-type", type);
  return new Response(text, { headers });
}

async function rank({ shop, request, headers }) {
  const question = await body(request);
  return json(asked(request, (visitor) => shop.rank(visitor, question)), headers);
}

async function quote({ shop, request, headers }) {
  const question = await body(request);
  return json(asked(request, (visitor) => shop.quote(visitor, question)), headers);
}

function offered({ shop, request, headers, sku }) {
  const url = new URL(request.url);
  const product = decoded(sku);
  const region = url.searchParams.get("region") ?? undefined;
  const offer = asked(request, (visitor) => shop.offer(visitor, url.origin, product, region));
  // The same for everyone in the region, and the region is of the shopper: no shared cache may keep it.
  headers.set("cache-control", "private, max-age=60");
  return json(offer, headers, "application/ld+json");
}

/** Takes in what a shopper did, where that is wanted. */
async function events({ shop, request, env, headers }) {
  const bytes = await body(request);
  const told = ask(() => new Events(bytes));
  const { granted, denied } = told;
  const isRefused = profiles.isRefused(request);
  if (denied || isRefused) {
    told.free();
    headers.append("set-cookie", profiles.forget());
    await profiles.revoke(request, env);
    if (isRefused) throw new Refusal(403, "the browser sends `Sec-GPC: 1`, so nothing is remembered");
    return new Response(null, { status: 204, headers });
  }
  if (!shop.profiles) throw new Refusal(403, "this shop keeps no profiles at the edge");
  const known = await profiles.read(request, env);
  if (!known && !granted) {
    throw new Refusal(403, 'the shopper has not agreed: send `"consent": "granted"` once it is so');
  }
  profiles.secret(env);
  const profile = ask(() => shop.profile(told, known?.bytes, profiles.MOST));
  headers.append("set-cookie", await profiles.keep(profile, known, env));
  return new Response(null, { status: 204, headers });
}

/** What is loaded, by digests. */
function health({ shop, env, headers }) {
  const { status, abi, ...rest } = JSON.parse(ask(() => shop.health()));
  let trouble = lastTrouble();
  try {
    if (shop.profiles) profiles.secret(env);
  } catch (error) {
    trouble ??= error.message;
  }
  // Why what the configuration says now is not what is loaded, or done.
  return json(JSON.stringify({ status, abi, module: digest, ...rest, trouble: trouble ?? null }), headers);
}

/** Asks for whoever sends a request. */
function asked(request, question) {
  const visitor = visitorOf(request);
  try {
    return ask(() => question(visitor));
  } finally {
    visitor.free();
  }
}

function decoded(sku) {
  try {
    return decodeURIComponent(sku);
  } catch {
    throw new Refusal(400, `\`${sku}\` is not percent-encoded`);
  }
}

/** Lets pages of other origins read the answer, those that the configuration lists. */
function allow(shop, request, route, headers) {
  headers.set("vary", "Origin");
  const origin = request.headers.get("origin");
  if (origin === null || !shop.cors.includes(origin)) return;
  headers.set("access-control-allow-origin", origin);
  headers.set("access-control-allow-credentials", "true");
  if (request.method === "OPTIONS") {
    headers.set("access-control-allow-methods", route.method);
    headers.set("access-control-allow-headers", "content-type");
    headers.set("access-control-max-age", "86400");
  }
}

/** A body, which is read only as far as it may be long. */
async function body(request) {
  // A form of another site can send other types without asking first.
  if (mediaType(request.headers).type !== "application/json") {
    throw new Refusal(415, `the body is \`${request.headers.get("content-type") ?? ""}\`; send \`application/json\``);
  }
  const bytes = [];
  let length = 0;
  for await (const piece of request.body ?? []) {
    length += piece.length;
    if (length > MAX_BODY) throw new Refusal(413, `the body has more than ${MAX_BODY} bytes`);
    bytes.push(piece);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of bytes) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

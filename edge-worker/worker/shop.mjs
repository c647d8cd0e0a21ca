// Data loaded in this isolate.
//
// The configuration is checked regularly, in the background of a request. When its text has changed, all its files are
// fetched, checked and loaded, and replace the old ones together; until then, and if anything fails, requests use the
// old ones. One request loads; the others poll with their own timers, because a request may not await the promise of
// another.
import module from "../tradewind.wasm";
import { configuration, load } from "../shim/tradewind_edge.js";
import { ask, askLater, current } from "./wasm.mjs";

/** Maximum milliseconds that a request waits for a missing shop. */
export const PATIENCE = 1_500;
/** Milliseconds until failed loading is retried. */
const RETRY = 5_000;
/** Milliseconds after which a loading request is considered dead. */
const GONE = 30_000;
/** Milliseconds between checks whether the shop has been loaded. */
const LOOK = 5;

const isolate = {
  /** Shop for requests, and its instance of the WebAssembly. */
  shop: undefined,
  instance: 0,
  /** Text of its configuration. */
  document: undefined,
  /** Error of the last load. */
  trouble: undefined,
  /** Time of the last check of the configuration. */
  looked: 0,
  /** Start of the current load. */
  loading: undefined,
};

/** Returns the loaded shop. */
function loaded() {
  return isolate.instance === current() ? isolate.shop : undefined;
}

/** Loads or checks the shop when due, and continues after the request's end. */
export function refresh(env, context) {
  const now = Date.now();
  if (isolate.loading !== undefined && now - isolate.loading < GONE) return;
  const shop = loaded();
  const lasts = shop ? shop.refreshSeconds * 1_000 : isolate.trouble ? RETRY : 0;
  if (now - isolate.looked < lasts) return;
  const begun = {};
  Object.assign(isolate, { looked: now, loading: now, begun });
  const loading = loadedFrom(env)
    .then(
      () => (isolate.trouble = undefined),
      (error) => {
        console.error(`tradewind: ${error.message}`);
        isolate.trouble = error;
      },
    )
    .finally(() => {
      if (isolate.begun === begun) isolate.loading = undefined;
    });
  context.waitUntil(loading);
}

/** Returns the shop for the Rust code, if it is loaded in time; otherwise throws the reason. */
export async function held() {
  const until = Date.now() + PATIENCE;
  for (;;) {
    const shop = loaded();
    if (shop) return ask(() => shop.held());
    if (isolate.loading === undefined) throw isolate.trouble ?? new Error("nothing is loaded");
    if (Date.now() >= until) throw new Error("timeout while loading configuration, packs and snapshot");
    await scheduler.wait(LOOK);
  }
}

/** Reason why the current configuration is not loaded. */
export const lastTrouble = () => isolate.trouble?.message;

async function loadedFrom(env) {
  const document = await askLater(() => configuration(env));
  if (loaded() && isolate.document === document) return;
  const shop = await askLater(() => load(document, module, env));
  const old = loaded();
  Object.assign(isolate, { shop, instance: current(), document });
  // Running requests hold their own reference.
  old?.free();
}

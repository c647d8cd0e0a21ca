// What this isolate has loaded.
//
// The configuration is looked at once in a while, in the background of a request. When its text has changed, all that
// it names is fetched, checked and loaded, and takes the place of what was there once it is whole; until then, and
// where anything of it fails, requests are answered from what was there. One request loads; the others look, by timers
// of their own, whether it is done: a request may not wait for the promise of another.
import module from "../tradewind.wasm";
import { configuration, load } from "../shim/tradewind_edge.js";
import { ask, askLater, current } from "./wasm.mjs";

/** How many milliseconds a request waits for what is not there yet. */
export const PATIENCE = 1_500;
/** After how many milliseconds loading is tried again when it failed. */
const RETRY = 5_000;
/** After how many milliseconds a request that loads is taken for gone. */
const GONE = 30_000;
/** How often a request looks whether the shop has come, in milliseconds. */
const LOOK = 5;

const isolate = {
  /** What requests are answered from, and the instance of the WebAssembly that it belongs to. */
  shop: undefined,
  instance: 0,
  /** The text of its configuration. */
  document: undefined,
  /** Why the last load failed. */
  trouble: undefined,
  /** When the configuration was looked at. */
  looked: 0,
  /** Since when it is being loaded. */
  loading: undefined,
};

/** The shop that is there. */
function loaded() {
  return isolate.instance === current() ? isolate.shop : undefined;
}

/** Has the shop loaded or looked after where that is due; it goes on when the request has ended. */
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

/** The shop, if it comes in time, for whoever hands it on to the Rust code; otherwise throws why it does not. */
export async function held() {
  const until = Date.now() + PATIENCE;
  for (;;) {
    const shop = loaded();
    if (shop) return ask(() => shop.held());
    if (isolate.loading === undefined) throw isolate.trouble ?? new Error("nothing is loaded");
    if (Date.now() >= until) throw new Error("configuration, packs and snapshot did not come in time");
    await scheduler.wait(LOOK);
  }
}

/** Why the configuration of now is not what is loaded. */
export const lastTrouble = () => isolate.trouble?.message;

async function loadedFrom(env) {
  const document = await askLater(() => configuration(env));
  if (loaded() && isolate.document === document) return;
  const shop = await askLater(() => load(document, module, env));
  const old = loaded();
  Object.assign(isolate, { shop, instance: current(), document });
  // Requests that are under way hold it themselves.
  old?.free();
}

// Storefront API, handled by the Rust code: its inputs, and the response if it fails.
import digest from "../digest.mjs";
import * as edge from "../shim/tradewind_edge.js";
import { held, lastTrouble, refresh } from "./shop.mjs";
import { ask, askLater } from "./wasm.mjs";

/** Whether a path belongs to the API. If unclear, it belongs to the origin. */
export function isOfApi(path) {
  try {
    return ask(() => edge.isOfApi(path));
  } catch {
    return false;
  }
}

/** Handles an API request. */
export async function answer(request, env, context) {
  refresh(env, context);
  try {
    const [shop, trouble] = await held().then(
      (shop) => [shop, lastTrouble()],
      (error) => [undefined, error.message],
    );
    return await askLater(() => edge.answer(request, env, shop, trouble, digest));
  } catch (error) {
    console.error(`tradewind: ${error.message}`);
    const problem = {
      type: "/problems#unavailable",
      title: "Service unavailable",
      status: 503,
      detail: "decisions are unavailable; try again later",
    };
    const headers = { "cache-control": "no-store", "content-type": "application/problem+json" };
    return new Response(JSON.stringify(problem), { status: 503, headers });
  }
}

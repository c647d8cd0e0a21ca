// The storefront API, which the Rust code answers: what it needs for that, and what is answered where it fails.
import digest from "../digest.mjs";
import * as edge from "../shim/tradewind_edge.js";
import { held, lastTrouble, refresh } from "./shop.mjs";
import { ask, askLater } from "./wasm.mjs";

/** Whether a path is the API's. Where that cannot be told, it is the origin's. */
export function isOfApi(path) {
  try {
    return ask(() => edge.isOfApi(path));
  } catch {
    return false;
  }
}

/** Answers a request to the API. */
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
    const problem = { title: "Service Unavailable", status: 503, detail: "no decision can be made at the moment; try again later" };
    const headers = { "cache-control": "no-store", "content-type": "application/problem+json" };
    return new Response(JSON.stringify(problem), { status: 503, headers });
  }
}

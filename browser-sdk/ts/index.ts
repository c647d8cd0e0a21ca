/**
 * Tradewind in a shopper's browser: products ranked and priced by one WebAssembly module, with a profile that stays
 * on the device.
 *
 * @packageDocumentation
 */

import { attach } from "./filler.js";
import { Tradewind } from "./tradewind.js";

Tradewind.place = {
  worker: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "tradewind" }),
  runtime: () => import("./runtime.js"),
  words: { de: () => import("./de.js") },
  attach,
};

export { type ErrorCode, TradewindError } from "./error.js";
export type { Configuration, LoadOptions, PageOptions } from "./options.js";
export type { ConsentState, Events } from "./tradewind.js";
export type * from "./types.js";
export { delivery, money, sentence } from "./words.js";
/** @internal */
export { say } from "./words.js";
export { Tradewind };

/** Entry for `<script src="…/tradewind.iife.js">`: the global `tradewind` has the package's exports. */

import { attach } from "./filler.js";
import { Tradewind } from "./tradewind.js";

// `currentScript` is set only while a classic script runs.
const base = (document.currentScript as HTMLScriptElement | null)?.src ?? document.baseURI;

Tradewind.place = {
  worker: () => new Worker(new URL("worker.js", base), { type: "module", name: "tradewind" }),
  runtime: () => import(new URL("runtime.js", base).href) as ReturnType<typeof Tradewind.place.runtime>,
  attach,
};

export { TradewindError } from "./error.js";
export { delivery, money, priceReason } from "./words.js";
export { Tradewind };

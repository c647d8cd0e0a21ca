/** For `<script src="…/tradewind.iife.js">`: the global `tradewind` has what the package exports. */

import { attach } from "./filler.js";
import { Tradewind } from "./tradewind.js";

// While a classic script runs, and only then, the page says where it is from.
const base = (document.currentScript as HTMLScriptElement | null)?.src ?? document.baseURI;

Tradewind.place = {
  worker: () => new Worker(new URL("worker.js", base), { type: "module", name: "tradewind" }),
  runtime: () => import(new URL("runtime.js", base).href) as ReturnType<typeof Tradewind.place.runtime>,
  attach,
};

export { TradewindError } from "./error.js";
export { delivery, money, priceReason } from "./words.js";
export { Tradewind };

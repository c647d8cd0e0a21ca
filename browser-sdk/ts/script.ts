/** For `<script src="…/tradewind.iife.js">`: the global `tradewind` has what the package exports. */

import { TradewindError } from "./error.js";
import { attach } from "./filler.js";
import { Tradewind } from "./tradewind.js";
import { delivery, money, sentence } from "./words.js";

// While a classic script runs, and only then, the page says where it is from.
const base = (document.currentScript as HTMLScriptElement | null)?.src ?? document.baseURI;

Tradewind.place = {
  worker: () => new Worker(new URL("worker.js", base), { type: "module", name: "tradewind" }),
  runtime: () => import(new URL("runtime.js", base).href) as ReturnType<typeof Tradewind.place.runtime>,
  words: { de: () => import(new URL("de.js", base).href) as Promise<typeof import("./de.js")> },
  attach,
};

Object.assign(globalThis, { tradewind: { Tradewind, TradewindError, delivery, money, sentence } });

/** Entry for `<script src="…/tradewind.iife.js">`: the global `tradewind` has the package's exports. */

import { TradewindError } from "./error.js";
import { attach } from "./filler.js";
import { Tradewind } from "./tradewind.js";
import { delivery, money, sentence } from "./words.js";

// `currentScript` is set only while a classic script runs.
const base = (document.currentScript as HTMLScriptElement | null)?.src ?? document.baseURI;

Tradewind.place = {
  worker: () => new Worker(new URL("worker.js", base), { type: "module", name: "tradewind" }),
  runtime: () => import(new URL("runtime.js", base).href) as ReturnType<typeof Tradewind.place.runtime>,
  words: { de: () => import(new URL("de.js", base).href) as Promise<typeof import("./de.js")> },
  attach,
};

Object.assign(globalThis, { tradewind: { Tradewind, TradewindError, delivery, money, sentence } });

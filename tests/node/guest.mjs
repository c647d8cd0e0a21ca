// The module in Node's V8: `node guest.mjs tradewind.wasm`.
import { readFileSync } from "node:fs";
import { operations } from "./module.mjs";
import { serve } from "./pipe.mjs";

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), {});
await serve(operations(instance));

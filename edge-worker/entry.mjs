// The Worker's entry. A Worker cannot compile WebAssembly while it runs, so the module comes with it, and its digest is
// written beside it when the Worker is built.
import module from "./tradewind.wasm";
import digest from "./digest.mjs";

globalThis.tradewind = { module, digest };

export { default } from "./worker/index.js";

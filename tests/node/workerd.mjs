// The module in workerd: `node workerd.mjs tradewind.wasm`. It is compiled as a Worker's modules are, before the Worker
// runs, and is asked over HTTP.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { serve } from "./pipe.mjs";

const wrangler = join(import.meta.dirname, "../../dist/tools/wrangler/");
const { Miniflare } = createRequire(wrangler)("miniflare");

const WORKER = `
import module from "./tradewind.wasm";
import { operations } from "./module.mjs";
const answers = operations(new WebAssembly.Instance(module, {}));
export default {
  async fetch(request) {
    const operation = Number(new URL(request.url).pathname.slice(1));
    return new Response(answers[operation](new Uint8Array(await request.arrayBuffer())));
  },
};`;

const worker = new Miniflare({
  modules: [
    { type: "ESModule", path: "worker.mjs", contents: WORKER },
    { type: "ESModule", path: "module.mjs", contents: readFileSync(join(import.meta.dirname, "module.mjs")) },
    { type: "CompiledWasm", path: "tradewind.wasm", contents: readFileSync(process.argv[2]) },
  ],
  compatibilityDate: "2026-04-01",
  cf: false,
});

async function ask(operation, body) {
  const response = await worker.dispatchFetch(`http://module/${operation}`, { method: "POST", body });
  const answer = new Uint8Array(await response.arrayBuffer());
  if (!response.ok) throw new Error(new TextDecoder().decode(answer));
  return answer;
}

await serve([0, 1, 2].map((operation) => (bytes) => ask(operation, bytes)));
await worker.dispose();

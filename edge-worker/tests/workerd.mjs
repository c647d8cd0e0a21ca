// The Worker in workerd, from the very bundle that `wrangler deploy` uploads.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

export const root = join(import.meta.dirname, "../..");
export const dist = (file) => join(root, "dist", file);
const { Miniflare, Log, LogLevel } = createRequire(dist("tools/wrangler/"))("miniflare");

const bundle = dist("edge/bundle");
const modules = readdirSync(bundle)
  .filter((name) => /\.(js|wasm)$/.test(name))
  .sort((a, b) => (b === "entry.js") - (a === "entry.js"));

/** tradewind.wasm, as it is in the bundle. */
export const bundled = () => readFileSync(join(bundle, modules.find((name) => name.endsWith("-tradewind.wasm"))));

/** The Worker's own WebAssembly, as it is in the bundle. */
export const shim = () => readFileSync(join(bundle, modules.find((name) => name.endsWith("-tradewind_edge_bg.wasm"))));

/**
 * Starts workerd before an origin, over a folder of assets. `module` stands in place of tradewind.wasm, and `own` of the
 * Worker's own WebAssembly.
 */
export async function startWorkerd({ origin, site, module, own, vars = {}, port = 0 }) {
  const replaced = (name) =>
    name.endsWith("-tradewind.wasm") ? module : name.endsWith("-tradewind_edge_bg.wasm") ? own : undefined;
  const part = (name) => ({
    type: name.endsWith(".wasm") ? "CompiledWasm" : "ESModule",
    path: join(bundle, name),
    contents: replaced(name) ?? readFileSync(join(bundle, name)),
  });
  const worker = new Miniflare({
    host: "127.0.0.1",
    port,
    modulesRoot: bundle,
    modules: modules.map(part),
    compatibilityDate: "2026-04-01",
    bindings: { ORIGIN: origin, PROFILE_KEY: "0123456789abcdef".repeat(4), ...vars },
    kvNamespaces: ["CONFIG"],
    r2Buckets: ["PRIVATE"],
    assets: { directory: site, binding: "ASSETS", routerConfig: { has_user_worker: true } },
    cf: false,
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
    log: new Log(process.env.TRADEWIND_VERBOSE ? LogLevel.DEBUG : LogLevel.NONE),
    handleRuntimeStdio: process.env.TRADEWIND_VERBOSE ? undefined : () => {},
  });
  const [kv, bucket] = await Promise.all([worker.getKVNamespace("CONFIG"), worker.getR2Bucket("PRIVATE")]);
  return {
    worker,
    url: (await worker.ready).href.replace(/\/$/, ""),
    /** The Worker itself, without what miniflare puts before it. */
    direct: (await worker.unsafeGetDirectURL()).href.replace(/\/$/, ""),
    /** Puts the configuration where a shop would: into KV. */
    configure: (config) => kv.put("config", typeof config === "string" ? config : JSON.stringify(config)),
    /** What the Worker keeps in KV. */
    storage: kv,
    /** Puts what is not for everyone where a shop would: into R2. */
    put: (key, bytes) => bucket.put(key, new Uint8Array(bytes)),
    close: () => worker.dispose(),
  };
}

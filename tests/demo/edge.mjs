// The edge of the demo: workerd, with the very bundle that `wrangler deploy` uploads, before the shop's origin.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { dist } from "./files.mjs";

const { Miniflare, Log, LogLevel } = createRequire(dist("tools/wrangler/"))("miniflare");

/** Starts workerd over a folder of assets. Configuration and whole snapshot go where a shop would put them: into KV and R2. */
export async function startEdge({ origin, site, configuration, snapshot, port = 0 }) {
  const bundle = dist("edge/bundle");
  const modules = readdirSync(bundle)
    .filter((name) => /\.(js|wasm)$/.test(name))
    .sort((a, b) => (b === "entry.js") - (a === "entry.js"))
    .map((name) => ({
      type: name.endsWith(".wasm") ? "CompiledWasm" : "ESModule",
      path: join(bundle, name),
      contents: readFileSync(join(bundle, name)),
    }));
  const worker = new Miniflare({
    host: "127.0.0.1",
    port,
    modulesRoot: bundle,
    modules,
    compatibilityDate: "2026-04-01",
    bindings: { ORIGIN: origin, PROFILE_KEY: "0123456789abcdef".repeat(4) },
    kvNamespaces: ["CONFIG"],
    r2Buckets: ["PRIVATE"],
    assets: { directory: site, binding: "ASSETS", routerConfig: { has_user_worker: true } },
    cf: false,
    log: new Log(process.env.TRADEWIND_VERBOSE ? LogLevel.DEBUG : LogLevel.NONE),
    handleRuntimeStdio: process.env.TRADEWIND_VERBOSE ? undefined : () => {},
  });
  const [kv, bucket] = await Promise.all([worker.getKVNamespace("CONFIG"), worker.getR2Bucket("PRIVATE")]);
  /** Puts a configuration into force, with a snapshot under the name that it says. */
  async function publish(configuration, snapshot) {
    await bucket.put(configuration.edge.private, new Uint8Array(readFileSync(snapshot)));
    await kv.put("config", JSON.stringify(configuration));
  }
  await publish(configuration, snapshot);
  const url = (await worker.ready).href.replace(/\/$/, "");
  return { url, publish, close: () => worker.dispose() };
}

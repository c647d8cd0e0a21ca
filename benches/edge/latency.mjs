// Latency added by the edge: `node benches/edge/latency.mjs [PAGES]`, after `cargo xtask build`.
//
// One workerd, without a proxy, runs the Worker as deployed; a second Worker serves configuration, snapshot and assets
// from a folder; origin and client are this process. Pages are requested in turn over one
// connection, so that noise affects all kinds equally; processor time is workerd's, by kind.
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { configuration, products, startOrigin } from "../../edge-worker/tests/shop.mjs";
import { dist } from "../../edge-worker/tests/workerd.mjs";

const count = Number(process.argv[2] ?? 1_000);
const filler = "<p>The rest of a page, as shops have it, with words and links and more words.</p>".repeat(400);
const slot = (n) => `<tradewind-slot name="slot-${n}" limit="8">${'<a class="own" href="/p/1">own</a>'.repeat(8)}</tradewind-slot>`;
const page = (slots) => `<!doctype html><html><body>${Array.from({ length: slots }, (_, n) => slot(n)).join("")}${filler}</body></html>`;

const KINDS = { "/": "0 slots", "/1": "1 slot", "/5": "5 slots", "/plain": "pass-through" };
const origin = await startOrigin({
  "/": page(0),
  "/1": page(1),
  "/5": page(5),
  // Responses other than HTML pass through the Worker unchanged.
  "/plain": (_, response) => response.writeHead(200, { "content-type": "text/plain" }).end(page(5)),
});

const folder = mkdtempSync(join(tmpdir(), "tradewind-latency-"));
mkdirSync(join(folder, "tradewind"));
for (const name of ["recommend", "price"]) cpSync(dist(`packs/${name}.pack`), join(folder, `tradewind/${name}.pack`));
cpSync(dist("reference.snapshot"), join(folder, "reference.snapshot"));
writeFileSync(join(folder, "tradewind/products.json"), JSON.stringify(products));
writeFileSync(join(folder, "config"), JSON.stringify(configuration()));

// Assets by path, KV by key, and R2 in workerd's protocol: request in a header, metadata before the bytes.
writeFileSync(join(folder, "data.mjs"), `
export default {
  async fetch(request, { disk }) {
    const wanted = request.headers.get("cf-r2-request");
    const path = wanted ? "/" + JSON.parse(wanted).object : new URL(request.url).pathname;
    const found = await disk.fetch("http://disk" + path);
    if (!wanted || !found.ok) return found;
    const bytes = new Uint8Array(await found.arrayBuffer());
    const metadata = new TextEncoder().encode(JSON.stringify({
      name: path.slice(1), version: "1", size: String(bytes.length), etag: "1", uploaded: "0", httpFields: {}, customFields: [],
    }));
    return new Response(new Blob([metadata, bytes]), { headers: { "cf-r2-metadata-size": String(metadata.length) } });
  },
};`);

const port = await new Promise((free) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => free(port));
  });
});
const bundle = dist("edge/bundle");
const modules = readdirSync(bundle).filter((name) => /\.(js|wasm)$/.test(name)).sort((a, b) => (b === "entry.js") - (a === "entry.js"));
const embed = (name) => `(name = "${name}", ${name.endsWith(".wasm") ? "wasm" : "esModule"} = embed "${name}")`;
for (const name of modules) cpSync(join(bundle, name), join(folder, name));
writeFileSync(join(folder, "config.capnp"), `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "edge", worker = (
      modules = [${modules.map(embed).join(", ")}],
      compatibilityDate = "2026-04-01",
      globalOutbound = "network",
      bindings = [
        (name = "CONFIG", kvNamespace = "data"), (name = "PRIVATE", r2Bucket = "data"), (name = "ASSETS", service = "data"),
        (name = "ORIGIN", text = "${origin.url}"),
      ],
    )),
    (name = "data", worker = (
      modules = [(name = "data.mjs", esModule = embed "data.mjs")],
      compatibilityDate = "2026-04-01",
      bindings = [(name = "disk", service = "disk")],
    )),
    (name = "disk", disk = (path = "${folder}")),
    (name = "network", network = (allow = ["private", "public"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "edge")],
);`);
const { default: program } = createRequire(dist("tools/wrangler/"))("workerd");
const workerd = spawn(program, ["serve", join(folder, "config.capnp")], { stdio: "inherit" });

const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const headers = { "accept-encoding": "identity", cookie: "tw_region=SEA" };
const ask = (base, path) =>
  new Promise((done, failed) => {
    const start = performance.now();
    get(new URL(path, base), { agent, headers }, async (response) => {
      let html = "";
      for await (const bytes of response.setEncoding("utf8")) html += bytes;
      done({ ms: performance.now() - start, html });
    }).on("error", failed);
  });

/** Milliseconds of processor time that workerd has used, or one of its threads. */
const ticks = Number(execFileSync("getconf", ["CLK_TCK"]));
function used(thread = "") {
  const fields = readFileSync(`/proc/${workerd.pid}${thread}/stat`, "utf8").split(") ")[1].split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / ticks) * 1_000;
}

const edge = `http://127.0.0.1:${port}`;
// The isolate's code runs on the first thread; the others compile in the background.
const main = `/task/${workerd.pid}`;
let first;
let before = [0, 0];
for (let n = 0; first === undefined && n < 100; n += 1) {
  before = [used(), used(main)];
  first = await ask(edge, "/5").catch(() => new Promise((later) => setTimeout(later, 50)));
}
const [loading, loadingMain] = [used() - before[0], used(main) - before[1]];
const filled = first?.html.match(/data-tradewind="edge"/g)?.length;
if (filled !== 5) throw new Error(`${filled} of 5 slots were filled: ${first?.html.slice(0, 300)}`);

const times = { origin: [], "/plain": [], "/": [], "/1": [], "/5": [] };
for (let n = 0; n < count; n += 1) {
  for (const kind of Object.keys(times)) {
    const { ms } = await (kind === "origin" ? ask(origin.url, "/5") : ask(edge, kind));
    if (n >= count / 10) times[kind].push(ms); // the first tenth warms up
  }
}
// Pages are requested one after another over one connection: client, origin and workerd share the machine.
const [processor, rate] = [{}, {}];
for (const kind of Object.keys(KINDS)) {
  const [before, start] = [used(), performance.now()];
  for (let n = 0; n < count; n += 1) await ask(edge, kind);
  rate[kind] = (1000 * count) / (performance.now() - start);
  processor[kind] = (used() - before) / count;
}
const at = (kind, share) => times[kind].toSorted((a, b) => a - b)[Math.floor(share * (times[kind].length - 1))];
console.log("| at the edge | median, ms | beyond pass-through | p99, ms | processor, ms | pages a second |\n|---|--:|--:|--:|--:|--:|");
for (const kind of Object.keys(times)) {
  const cells = [KINDS[kind] ?? "origin alone", at(kind, 0.5).toFixed(2), "–", at(kind, 0.99).toFixed(2), "–", "–"];
  if (kind in KINDS) {
    if (kind !== "/plain") cells[2] = `+${(at(kind, 0.5) - at("/plain", 0.5)).toFixed(2)}`;
    cells.splice(4, 2, processor[kind].toFixed(2), rate[kind].toFixed(0));
  }
  console.log(`| ${cells.join(" | ")} |`);
}
console.log(`
${count} pages of ${page(5).length} bytes of each kind, in turns over one connection; processor time is workerd's. The first page of an
isolate, with loading: ${first.ms.toFixed(0)} ms, ${loadingMain.toFixed(0)} ms of processor time, and ${(loading - loadingMain).toFixed(0)} ms more for V8's compiler in the background.
Load ${loadavg()[0].toFixed(2)} at the end.`);
agent.destroy();
workerd.kill();
origin.close();
rmSync(folder, { recursive: true });

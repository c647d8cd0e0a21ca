// Ranking in a page: `node benches/browser/first-rank.mjs FOLDER [ROUNDS]`, after `cargo xtask build`. FOLDER's
// node_modules has onnxruntime-web; `cargo xtask bench` obtains it.
//
// Tradewind and onnxruntime-web run the committed recommendation model in Chromium, served from this machine. Measures the
// download, the time to the first scores with empty and warm caches (compared with a page that only fetches the features),
// scores of 100 and 1,000 candidates in turns within one page, and the page's memory afterwards. Compares the scores
// first.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import { root, startChromium } from "../../browser-sdk/tests/chromium.mjs";

const [npm, rounds = 15] = process.argv.slice(2);
const ort = (file) => readFileSync(join(npm, "node_modules/onnxruntime-web/dist", file));
const MODEL = join(root, "models/recommend/model.onnx");
const COLUMNS = 19;

/** The model alone, as the other's file has it: without the tables that turn a history into features. */
function packed() {
  const folder = mkdtempSync(join(tmpdir(), "tradewind-first-rank-"));
  const pack = join(folder, "model.pack");
  execFileSync(join(root, "dist/tradewind"), ["pack", MODEL, "--out", pack, "--key", join(root, "dist/keys/dev.key")], { stdio: "ignore" });
  const bytes = readFileSync(pack);
  rmSync(folder, { recursive: true });
  return bytes;
}

/** The recorded sample's rows, again and again. */
function features(rows) {
  const bytes = readFileSync(join(root, "models/recommend/test_data_set_0/input_0.pb"));
  // The last field of the tensor is its raw data.
  const length = bytes.length - (bytes.length % 4);
  const samples = new Float32Array(length / 4);
  new Uint8Array(samples.buffer).set(bytes.subarray(bytes.length - length));
  const whole = Math.floor(samples.length / COLUMNS) - 1;
  const first = samples.length - whole * COLUMNS;
  return Float32Array.from({ length: rows * COLUMNS }, (_, at) => samples[first + (at % (whole * COLUMNS))]);
}

/** What each page runs: `open` ends with a function that scores rows. */
const PEERS = {
  Tradewind: `
    import { instantiate } from "/tradewind.mjs";
    export async function open() {
      const pack = fetch("/model.pack").then((file) => file.arrayBuffer());
      const guest = await instantiate(await WebAssembly.compileStreaming(fetch("/tradewind.wasm")));
      const handle = guest.load(new Uint8Array(await pack));
      return (rows, { columns }) => {
        const score = guest.scorer(handle, rows, columns);
        return async () => score()[0];
      };
    }`,
  "onnxruntime-web": `
    import * as ort from "/ort.wasm.bundle.min.mjs";
    export async function open() {
      ort.env.wasm.numThreads = 1;
      ort.env.wasm.wasmPaths = { wasm: "/ort-wasm-simd-threaded.wasm" };
      const session = await ort.InferenceSession.create("/model.onnx", { executionProviders: ["wasm"] });
      return (rows, { features }) => {
        const input = { [session.inputNames[0]]: new ort.Tensor("float32", features, [rows, ${COLUMNS}]) };
        return async () => (await session.run(input))[session.outputNames[0]].data;
      };
    }`,
};
const NAMES = Object.keys(PEERS);

/** What each page can be told to fetch at once, before its scripts ask for it. */
const FILES = {
  Tradewind: ["/tradewind.mjs", "/tradewind.wasm", "/model.pack"],
  "onnxruntime-web": ["/ort.wasm.bundle.min.mjs", "/ort-wasm-simd-threaded.wasm", "/model.onnx"],
};
const ahead = (path) =>
  path.endsWith(".mjs")
    ? `<link rel="modulepreload" href="${path}">`
    : `<link rel="preload" as="fetch" crossorigin href="${path}">`;

const EMPTY = `<!doctype html><title>empty</title><script type="module">
  await (await fetch("/rows/100")).arrayBuffer();
  window.took = performance.now();
  window.scores = [];
</script>`;

const PAGE = (peer) => `<!doctype html><title>${peer}</title>${[...FILES[peer], "/rows/100"].map(ahead).join("")}
<script type="module">${PEERS[peer]}
  const rows = await (await fetch("/rows/100")).arrayBuffer();
  const features = new Float32Array(rows);
  const columns = Float32Array.from(features, (_, at) => features[(at % 100) * ${COLUMNS} + Math.floor(at / 100)]);
  const scores = await (await open())(100, { features, columns })();
  window.took = performance.now();
  window.scores = [...scores];
</script>`;

const TURNS = `<!doctype html><title>turns</title><script type="module">
  const open = {};
  for (const name of ${JSON.stringify(NAMES)}) open[name] = await (await import("/peer/" + name + ".mjs")).open();
  window.measure = async (rows, rounds) => {
    const features = new Float32Array(await (await fetch("/rows/" + rows)).arrayBuffer());
    const columns = Float32Array.from(features, (_, at) => features[(at % rows) * ${COLUMNS} + Math.floor(at / rows)]);
    const run = Object.entries(open).map(([name, peer]) => [name, peer(rows, { features, columns })]);
    const took = Object.fromEntries(run.map(([name]) => [name, []]));
    const turn = rows > 500 ? 20 : 100;
    for (let round = -3; round < rounds; round += 1) {
      for (const [name, score] of round % 2 ? run : [...run].reverse()) {
        const start = performance.now();
        for (let n = 0; n < turn; n += 1) await score();
        if (round >= 0) took[name].push((1000 * (performance.now() - start)) / turn);
      }
    }
    return took;
  };
</script>`;

const files = {
  "/tradewind.mjs": ["text/javascript", readFileSync(join(root, "benches/peers/tradewind.mjs"))],
  "/tradewind.wasm": ["application/wasm", readFileSync(join(root, "dist/tradewind.wasm"))],
  "/model.pack": ["application/octet-stream", packed()],
  "/ort.wasm.bundle.min.mjs": ["text/javascript", ort("ort.wasm.bundle.min.mjs")],
  "/ort-wasm-simd-threaded.wasm": ["application/wasm", ort("ort-wasm-simd-threaded.wasm")],
  "/model.onnx": ["application/octet-stream", readFileSync(MODEL)],
  "/turns": ["text/html", TURNS],
  "/empty": ["text/html", EMPTY],
  "/rows/100": ["application/octet-stream", Buffer.from(features(100).buffer)],
  "/rows/1000": ["application/octet-stream", Buffer.from(features(1000).buffer)],
};
for (const name of NAMES) {
  files[`/peer/${name}.mjs`] = ["text/javascript", PEERS[name]];
  files[`/${name}`] = ["text/html", PAGE(name)];
}
const sent = new Set();
const server = createServer((request, response) => {
  const [type, body] = files[request.url] ?? [];
  if (!type) return response.writeHead(404).end();
  sent.add(request.url);
  response
    .writeHead(200, {
      "content-type": type,
      "cache-control": "public, max-age=31536000, immutable",
      // A page can read its memory only with these.
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    })
    .end(body);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const at = (path) => `http://127.0.0.1:${server.address().port}${path}`;

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 } };
const PAGES = [...NAMES, "empty"];
const figures = Object.fromEntries(PAGES.map((name) => [name, { cold: [], warm: [], memory: [], bytes: 0 }]));

const chromium = await startChromium({ recorded: false });
const load = (averages) => averages[0].toFixed(2);
const before = load(loadavg());
const scores = {};
for (let round = 0; round < Number(rounds); round += 1) {
  for (const name of round % 2 ? PAGES : PAGES.toReversed()) {
    const page = await chromium.page();
    sent.clear();
    // Chromium caches compiled code from the second visit on.
    for (let visit = 0; visit < 4; visit += 1) {
      await page.goto(at(`/${name}`));
      await page.waitForFunction(() => window.scores, undefined, { polling: 20, timeout: 10_000 }).catch((error) => {
        throw new Error(`${name}: ${page.faults.join("; ") || error.message}`);
      });
      const took = await page.evaluate(() => window.took);
      if (visit === 0) figures[name].cold.push(took);
      if (visit === 3) figures[name].warm.push(took);
    }
    scores[name] = await page.evaluate(() => window.scores);
    if (round < 3) {
      const { bytes } = await page.evaluate(() => performance.measureUserAgentSpecificMemory());
      figures[name].memory.push(bytes);
    }
    if (round === 0) {
      for (const path of sent) {
        if (!path.startsWith("/rows")) figures[name].bytes += brotliCompressSync(files[path][1], quality).length;
      }
    }
    await page.done();
  }
  process.stderr.write(`\r    ${round + 1} of ${rounds} rounds`);
}
process.stderr.write("\n");
const [ours, theirs] = NAMES.map((name) => scores[name]);
const apart = Math.max(...ours.map((score, n) => Math.abs(score - theirs[n]) / (1 + Math.abs(theirs[n]))));
if (!(apart < 1e-4)) throw new Error(`their scores differ by ${apart}`);

const page = await chromium.page();
await page.goto(at("/turns"));
await page.waitForFunction(() => window.measure);
const turns = {};
for (const rows of [100, 1000]) turns[rows] = await page.evaluate(([rows, n]) => window.measure(rows, n), [rows, 41]);
await chromium.close();
server.close();

const kilobytes = (bytes) => `${(bytes / 1000).toFixed(0)} kB`;
const milliseconds = (ms) => `${ms.toFixed(1)} ms`;
const times = (ratio) => `**${ratio.toFixed(1)}×**`;
const rows = [
  ["download, after brotli", (name) => figures[name].bytes, kilobytes, 20],
  ["first scores, empty caches", (name) => median(figures[name].cold), milliseconds, 10],
  ["… minus an empty page", (name) => median(figures[name].cold) - median(figures.empty.cold), milliseconds, undefined],
  ["first scores, fourth visit", (name) => median(figures[name].warm), milliseconds, 10],
  ["… minus an empty page", (name) => median(figures[name].warm) - median(figures.empty.warm), milliseconds, undefined],
  ["scores of 100 candidates", (name) => median(turns[100][name]), (us) => `${us.toFixed(0)} µs`, 1.5],
  ["scores of 1,000 candidates", (name) => median(turns[1000][name]), (us) => `${us.toFixed(0)} µs`, 1.5],
  ["memory of the page", (name) => median(figures[name].memory), (bytes) => `${(bytes / 1e6).toFixed(1)} MB`, undefined],
];
console.log(`| in Chromium | ${NAMES.join(" | ")} | ratio | goal |\n|---|--:|--:|--:|--:|`);
for (const [what, of, shown, goal] of rows) {
  const [ours, theirs] = NAMES.map(of);
  const cells = [what, shown(ours), shown(theirs), times(theirs / ours), goal ? `${goal}×` : "–"];
  console.log(`| ${cells.join(" | ")} |`);
}
console.log(`
An empty page, which only fetches the features, takes ${milliseconds(median(figures.empty.cold))}, on the fourth visit ${milliseconds(median(figures.empty.warm))}.
Medians of ${rounds} fresh browser profiles in turns, and of 41 turns in one page; scores agree within ${apart.toExponential(0)}. Files are served
from this machine: a network adds time for their size. ${cpus().length} × ${cpus()[0].model}, load ${before} at the start, ${load(loadavg())} at the end.`);

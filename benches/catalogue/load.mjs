// What catalogues of many products cost a page or an isolate: `node benches/catalogue/load.mjs [ROUNDS]`, after
// `cargo xtask build`.
//
// Catalogues, prices and what goes with what are generated. Each file is loaded by a process of its own, as in a page
// that has just opened: V8 has compiled the module, and not yet optimised it. Sizes take turns, round by round.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";

const SIZES = [1_000, 5_000, 40_000, 200_000, 1_000_000];
const [NEIGHBOURS, REGIONS, NODES, EVENTS] = [10, 20, 3, 40];
const NOW = Date.UTC(2026, 10, 1);
const root = fileURLToPath(new URL("../..", import.meta.url));
const dist = (name) => join(root, "dist", name);
const sku = (n) => String(10_000_000 + n * 37);

if (process.argv[2] === "--one") one(...process.argv.slice(3));
else all(Number(process.argv[2] ?? 7));

/** Loads a file, answers requests where it ranks, and prints what that took. A pack also ranks with its snapshot. */
function one(kind, file, products, snapshot) {
  const module = new WebAssembly.Module(readFileSync(dist("tradewind.wasm")));
  const { memory, alloc, dealloc, load, call } = new WebAssembly.Instance(module, {}).exports;
  const replied = (pointer) => {
    const length = new DataView(memory.buffer).getUint32(pointer, true);
    const reply = new Uint8Array(memory.buffer, pointer + 4, length).slice();
    dealloc(pointer, length + 4);
    if (reply[0] === 0) throw new Error(new TextDecoder().decode(reply));
    return reply;
  };
  const take = (bytes) => {
    const pointer = alloc(bytes.length);
    new Uint8Array(memory.buffer).set(bytes, pointer);
    return pointer;
  };
  const bytes = readFileSync(file);
  const [before, pointer] = [memory.buffer.byteLength, take(bytes)];
  const { user, system } = process.cpuUsage();
  const started = performance.now();
  const loaded = load(pointer, bytes.length);
  const took = performance.now() - started;
  const used = process.cpuUsage({ user, system });
  replied(loaded);
  const found = { load: took, processor: (used.user + used.system) / 1e3, memory: memory.buffer.byteLength - before };
  if (kind === "pack") {
    const rank = (constraints) => {
      const request = ranking(Number(products), constraints);
      const times = [];
      for (let n = 0; n < 600; n += 1) {
        const at = take(request);
        const started = performance.now();
        const reply = call(at, request.length);
        times.push(performance.now() - started);
        replied(reply);
        dealloc(at, request.length);
      }
      return median(times.slice(300));
    };
    found.rank = rank({});
    found.available = rank({ available: true });
    const whole = readFileSync(snapshot);
    replied(load(take(whole), whole.length));
    found.region = rank({ region: "R0" });
  }
  process.stdout.write(JSON.stringify(found));
}

/**
 * A request for twelve products, by a shopper who viewed some: postcard, as `core/ABI.md` has it. All products may be
 * `available`, by a bit set, or have to be delivered to a `region`.
 */
function ranking(products, { available, region }) {
  const request = [3];
  const number = (value) => {
    for (; value >= 128; value = Math.floor(value / 128)) request.push((value % 128) + 128);
    request.push(value);
  };
  const text = (value) => {
    const bytes = new TextEncoder().encode(value);
    number(bytes.length);
    request.push(...bytes);
  };
  text("recommend");
  number(2 * NOW);
  request.push(0, 0, 0, 0, 0); // nobody's profile
  number(EVENTS);
  for (let n = 0; n < EVENTS; n += 1) {
    number(2 * (NOW - 1_000 * n));
    request.push(0, 0); // seen in the web
    text(sku(Math.floor(((n + 0.5) * products) / EVENTS)));
  }
  request.push(0, 0, 0, 0); // no candidates or rows are given, none excluded or hidden
  if (available) {
    const bytes = Math.ceil(products / 8);
    request.push(1);
    number(products);
    number(bytes);
    for (let n = 0; n < bytes; n += 1) request.push(255);
  } else request.push(0);
  request.push(0); // any number of a category
  if (region === undefined) request.push(0);
  else {
    request.push(1);
    text(region);
  }
  number(12);
  return Uint8Array.from(request);
}

function all(rounds) {
  const folder = mkdtempSync(join(tmpdir(), "tradewind-catalogue-"));
  const files = SIZES.flatMap((products) => ["pack", "snapshot"].map((kind) => made(folder, kind, products)));
  const found = files.map(() => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [n, { kind, file, products }] of files.entries()) {
      const script = fileURLToPath(import.meta.url);
      const snapshot = join(folder, `snapshot-${products}.snapshot`);
      found[n].push(JSON.parse(execFileSync(process.execPath, [script, "--one", kind, file, String(products), snapshot])));
    }
  }
  console.log("| file | products | bytes | brotli | load | processor | memory / bytes | a ranking | with a bit set | with a region |");
  console.log("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
  for (const [n, { kind, file, products }] of files.entries()) {
    const of = (name) => median(found[n].map((round) => round[name]));
    const bytes = statSync(file).size;
    const params = { [constants.BROTLI_PARAM_QUALITY]: bytes < 2e6 ? 11 : 9 };
    const compressed = brotliCompressSync(readFileSync(file), { params }).length;
    const cells = [kind, products.toLocaleString("en"), bytes.toLocaleString("en"), compressed.toLocaleString("en")];
    const times = [`${of("load").toFixed(2)} ms`, `${of("processor").toFixed(2)} ms`, (of("memory") / bytes).toFixed(2)];
    console.log(`| ${[...cells, ...times, ...["rank", "available", "region"].map((name) => (kind === "pack" ? `${of(name).toFixed(3)} ms` : "–"))].join(" | ")} |`);
  }
  rmSync(folder, { recursive: true });
}

/** A pack or a snapshot of this many generated products, built by the host's own commands. */
function made(folder, kind, products) {
  const source = join(folder, `${kind}-${products}`);
  const file = `${source}.${kind}`;
  mkdirSync(source);
  const write = (name, header, rows) => writeFileSync(join(source, name), `${header}\n${rows.join("\n")}\n`);
  const list = Array.from({ length: products }, (_, n) => n);
  const random = generator(products);
  if (kind === "pack") {
    for (const name of ["pack.json", "spec.json", "model.onnx"]) cpSync(join(root, "models/recommend", name), join(source, name));
    const row = (n) => {
      const popularity = 0.1 / (1 + Math.floor(random() * products));
      const others = new Set();
      while (others.size < NEIGHBOURS) others.add(Math.floor(random() ** 2 * products));
      const neighbours = [...others].map((other) => `${sku(other)}:${(random() ** 2).toFixed(5)}`).join(" ");
      return `${sku(n)},C${n % 200},Product ${n},${popularity},${popularity * random()},${random()},${Math.floor(random() * 60)},${neighbours}`;
    };
    write("products.csv", "sku,category,title,popularity,recent_popularity,repeat_rate,gap_days,neighbours", list.map(row));
    execFileSync(dist("tradewind"), ["pack", source, "--out", file, "--unsigned"]);
    return { kind, file, products };
  }
  const numbered = (length, row) => Array.from({ length }, (_, n) => row(n));
  const day = (moment) => new Date(moment).toISOString();
  writeFileSync(join(source, "snapshot.json"), JSON.stringify({
    name: "generated", version: "1", currency: "USD", issued: day(NOW), expires: day(NOW + 7 * 86_400_000),
    rounding: { unit: 10, endings: [9] }, cover: { short_weeks: 1, long_weeks: 8, excess_loss: 2000 },
  }));
  write("products.csv", "sku,category,list,cost,margin,ceiling,day_step,week_step",
    list.map((n) => `${sku(n)},C${n % 200},${999 + (n % 50) * 100},${500 + (n % 50) * 50},500,,1000,2000`));
  write("prices.csv", "sku,since,price", list.flatMap((n) => [30, 3].map((days) =>
    `${sku(n)},${day(NOW - days * 86_400_000)},${899 + (n % 50) * 100 - days}`)));
  write("regions.csv", "code,utc_offset", numbered(REGIONS, (n) => `R${n},0`));
  write("nodes.csv", "code,utc_offset,shipments_per_day,cut_off,handling,unit_handling", numbered(NODES, (n) => `N${n},0,1000,960,90,12`));
  write("lanes.csv", "node,region,distance,cost,unit_cost,min_days,max_days", numbered(NODES * REGIONS, (n) =>
    `N${n % NODES},R${Math.floor(n / NODES)},${100 + n},${400 + n},50,${1 + (n % 3)},${2 + (n % 4)}`.replace(/,(\d),(\d)$/, (_, a, b) => `,${Math.min(a, b)},${Math.max(a, b)}`)));
  write("stock.csv", "node,sku,on_hand,reserved,safety", list.flatMap((n) => numbered(NODES, (node) => `N${node},${sku(n)},${(n * 7 + node) % 40},0,1`)));
  execFileSync(dist("tradewind"), ["snapshot", "build", source, "--out", file, "--unsigned"]);
  return { kind, file, products };
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** Numbers from 0 to 1, the same for the same seed (a linear congruential generator). */
function generator(seed) {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
}

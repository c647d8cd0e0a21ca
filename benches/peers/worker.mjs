// A competitor in V8. `../src/worker.rs` has the protocol; each competitor is a module with a function
//   start(wasm, folder) → { open(model, inputs, snapshot) → run() → outputs }
// where `model` and `wasm` are bytes, `inputs` are { name, type, shape, values } and outputs are typed arrays.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [competitor, wasmFile, folder] = process.argv.slice(2);
const cases = new Map();
let runtime;

async function prepare({ name, onnx, pack, snapshot, request, inputs }) {
  const file = competitor.startsWith("tradewind") ? pack : onnx;
  if (!file) return { refused: "it is not compiled" };
  // The files that a page would download are read before the clock starts.
  const [wasm, model] = [readFileSync(wasmFile), readFileSync(file)];
  const over = snapshot && readFileSync(snapshot);
  const given = request ? readFileSync(request) : inputs.map(read);
  const phases = [];
  let last = performance.now();
  const phase = (what) => {
    const now = performance.now();
    phases.push([what, now - last]);
    last = now;
  };
  try {
    if (!runtime) {
      const { start } = await import(`./${competitor}.mjs`);
      phase("script");
      runtime = await start(wasm, folder);
      phase("compile and instantiate");
    }
    const run = await runtime.open(model, given, over);
    phase("load the model");
    const outputs = await run();
    phase("first answer");
    cases.set(name, run);
    return { ready: { outputs: outputs.map((values) => Array.from(values, Number)), phases } };
  } catch (error) {
    return { refused: String(error?.message ?? error) };
  }
}

async function run({ case: name, iterations }) {
  const run = cases.get(name);
  const start = process.hrtime.bigint();
  for (let n = 0; n < iterations; n++) {
    const outputs = run();
    if (outputs instanceof Promise) await outputs;
  }
  return { nanoseconds: Number(process.hrtime.bigint() - start) };
}

function read({ name, type, shape, file }) {
  const count = shape.reduce((product, extent) => product * extent, 1);
  const bytes = new Uint8Array(readFileSync(file)).buffer;
  return { name, type, shape, values: type === "i64" ? new BigInt64Array(bytes, 0, count) : new Float32Array(bytes, 0, count) };
}

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  const answer = question.prepare ? await prepare(question.prepare) : await run(question.run);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

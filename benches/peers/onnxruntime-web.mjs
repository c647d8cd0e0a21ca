// onnxruntime-web's wasm backend, on one thread.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

export async function start(wasm, folder) {
  const entry = createRequire(`${folder}/`).resolve("onnxruntime-web/wasm").replace("ort.wasm.min.js", "ort.wasm.bundle.min.mjs");
  const ort = await import(pathToFileURL(entry));
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasm;
  ort.env.logLevel = "error";
  return {
    async open(model, inputs) {
      const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
      const types = { f32: "float32", i64: "int64" };
      return async () => {
        const feeds = {};
        for (const { name, type, shape, values } of inputs) feeds[name] = new ort.Tensor(types[type], values, shape);
        const outputs = await session.run(feeds);
        return session.outputNames.map((name) => outputs[name].data);
      };
    },
  };
}

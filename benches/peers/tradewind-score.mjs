// tradewind.wasm through `score`, for features in columns, as in batch jobs.
import { instantiate } from "./tradewind.mjs";

export async function start(wasm) {
  const guest = await instantiate(wasm);
  return {
    open(pack, inputs) {
      const [{ shape: [rows, width] = [], type, values } = {}] = inputs;
      if (inputs.length !== 1 || type !== "f32") throw new Error("`score` takes one matrix of f32");
      const columns = Float32Array.from(values, (_, at) => values[(at % rows) * width + Math.floor(at / rows)]);
      return guest.scorer(guest.load(pack), rows, columns);
    },
  };
}

// rten, compiled by `../rten`.
export async function start(wasm) {
  const rten = (await WebAssembly.instantiate(wasm, {})).instance.exports;

  const check = (result) => {
    if (result >>> 0 !== 0xffffffff) return result;
    throw new Error(new TextDecoder().decode(new Uint8Array(rten.memory.buffer, rten.error() >>> 0, rten.error_len())));
  };
  return {
    open(model, inputs) {
      const pointer = rten.alloc(model.length) >>> 0;
      new Uint8Array(rten.memory.buffer, pointer, model.length).set(model);
      check(rten.load(pointer, model.length));
      // rten computes with i32 where ONNX has i64.
      const given = inputs.map(({ type, shape, values }) => ({
        values: type === "i64" ? Int32Array.from(values, Number) : values,
        pointer: rten.input(type === "i64" ? 1 : 0, shape.length, ...shape, 1, 1) >>> 0,
      }));
      return () => {
        for (const { values, pointer } of given) new values.constructor(rten.memory.buffer, pointer, values.length).set(values);
        const count = check(rten.run());
        return Array.from({ length: count }, (_, index) => {
          const Type = rten.output_is_integers(index) ? Int32Array : Float32Array;
          return new Type(rten.memory.buffer, rten.output(index) >>> 0, rten.output_len(index)).slice();
        });
      };
    },
  };
}

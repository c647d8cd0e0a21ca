// The module with another `call`: for faults that the real one does not have.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { dist } from "./workerd.mjs";

/** The first byte of a request for a ranking. */
const RANK = 2;

const { default: binaryen } = await import(pathToFileURL(dist("tools/binaryen/node_modules/binaryen/index.js")));

/** tradewind.wasm, but that rankings are answered by an expression that `make` gives. */
export function ranking(make) {
  const module = binaryen.readBinary(readFileSync(dist("tradewind.wasm")));
  module.setFeatures(binaryen.Features.All);
  const exported = Array.from({ length: module.getNumExports() }, (_, n) => binaryen.getExportInfo(module.getExportByIndex(n)));
  const original = exported.find(({ name }) => name === "call").value;
  const { i32 } = binaryen;
  const [pointer, length] = [module.local.get(0, i32), module.local.get(1, i32)];
  const isRank = module.i32.eq(module.i32.load8_u(0, 1, pointer), module.i32.const(RANK));
  const body = module.if(isRank, make(module), module.call(original, [pointer, length], i32));
  module.addFunction("altered", binaryen.createType([i32, i32]), i32, [], body);
  module.removeExport("call");
  module.addFunctionExport("altered", "call");
  return Buffer.from(module.emitBinary());
}

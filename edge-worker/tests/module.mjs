// The module with another `call`: for faults that the real one does not have.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { dist, shim } from "./workerd.mjs";

/** The first byte of a request for a ranking. */
const RANK = 2;

const { default: binaryen } = await import(pathToFileURL(dist("tools/binaryen/node_modules/binaryen/index.js")));

const { i32 } = binaryen;

/** tradewind.wasm, but that rankings are answered by an expression that `make` gives. */
export function ranking(make) {
  return altered("call", (module, original) => {
    const isRank = module.i32.eq(module.i32.load8_u(0, 1, original.pointer), module.i32.const(RANK));
    return module.if(isRank, make(module), original.call());
  });
}

/** tradewind.wasm, but that loading anything counts to `turns` before. */
export function loading(turns) {
  return altered("load", (module, original) => {
    const counted = module.local.tee(2, module.i32.add(module.local.get(2, i32), module.i32.const(1)), i32);
    const again = module.br_if("counting", module.i32.lt_u(counted, module.i32.const(turns)));
    return module.block(null, [module.loop("counting", again), original.call()], i32);
  });
}

/** The Worker's own WebAssembly, but that it traps where a page's piece has so many bytes or more. */
export function dying(length) {
  const module = binaryen.readBinary(shim());
  const { BulkMemory, BulkMemoryOpt = 0, Multivalue, MutableGlobals, NontrappingFPToInt, ReferenceTypes, SIMD128, SignExt } = binaryen.Features;
  module.setFeatures(BulkMemory | BulkMemoryOpt | Multivalue | MutableGlobals | NontrappingFPToInt | ReferenceTypes | SIMD128 | SignExt);
  const [parameters, results] = [binaryen.createType([i32, i32, i32]), binaryen.createType([i32, i32])];
  const [page, pointer, len] = [0, 1, 2].map((n) => module.local.get(n, i32));
  const push = module.call(exportOf(module, "page_push"), [page, pointer, len], results);
  const dies = module.if(module.i32.ge_u(module.local.get(2, i32), module.i32.const(length)), module.unreachable());
  module.addFunction("altered", parameters, results, [], module.block(null, [dies, push], results));
  module.removeExport("page_push");
  module.addFunctionExport("altered", "page_push");
  return Buffer.from(module.emitBinary());
}

/** The function behind an export. */
function exportOf(module, name) {
  const exported = Array.from({ length: module.getNumExports() }, (_, n) => binaryen.getExportInfo(module.getExportByIndex(n)));
  return exported.find((it) => it.name === name).value;
}

/** tradewind.wasm with another export of a name that takes a buffer. */
function altered(name, body) {
  const module = binaryen.readBinary(readFileSync(dist("tradewind.wasm")));
  module.setFeatures(binaryen.Features.All);
  const original = exportOf(module, name);
  const [pointer, length] = [module.local.get(0, i32), module.local.get(1, i32)];
  const call = () => module.call(original, [pointer, length], i32);
  module.addFunction("altered", binaryen.createType([i32, i32]), i32, [i32], body(module, { pointer, call }));
  module.removeExport(name);
  module.addFunctionExport("altered", name);
  return Buffer.from(module.emitBinary());
}

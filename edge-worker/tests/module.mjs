// The module with another `call`: for faults that the real one does not have.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { dist, shim } from "./workerd.mjs";

/** The first byte of a request for a ranking. */
const RANK = 3;

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

/** The Worker's WebAssembly, changed to trap on a piece of a page with at least a number of bytes. */
export function dying(length) {
  return ownAltered((module, instead) => {
    instead("page_push", [i32, i32, i32], [i32, i32], (push) => {
      const dies = module.if(module.i32.ge_u(module.local.get(2, i32), module.i32.const(length)), module.unreachable());
      return module.block(null, [dies, push], binaryen.createType([i32, i32]));
    });
  });
}

/** The Worker's WebAssembly, changed to trap when it continues a request whose path has a number of letters. */
export function dyingAmid(length) {
  return ownAltered((module, instead) => {
    // How often it goes on before it traps; more than 0 after such a path.
    module.addGlobal("left", i32, true, module.i32.const(0));
    const left = () => module.global.get("left", i32);
    const set = (value) => module.global.set("left", value);
    instead("isOfApi", [i32, i32], [i32], (isOfApi) => {
      const isIt = module.i32.eq(module.local.get(1, i32), module.i32.const(length));
      return module.block(null, [module.if(isIt, set(module.i32.const(2))), isOfApi], i32);
    });
    instead("work_goOn", [i32, binaryen.externref], [i32, i32, i32], (goOn) => {
      const isLast = module.i32.eq(left(), module.i32.const(1));
      const less = module.if(left(), set(module.i32.sub(left(), module.i32.const(1))));
      return module.block(null, [module.if(isLast, module.unreachable()), less, goOn], binaryen.createType([i32, i32, i32]));
    });
  });
}

/** The Worker's own WebAssembly, but that it never has read a profile. */
export function neverReading() {
  return ownAltered((module, instead) => {
    module.addGlobal("reading", i32, true, module.i32.const(0));
    const reading = () => module.global.get("reading", i32);
    instead("profileOf", [binaryen.externref, binaryen.externref], [i32], (profileOf) =>
      module.block(null, [module.global.set("reading", profileOf), reading()], i32),
    );
    instead("work_goOn", [i32, binaryen.externref], [i32, i32, i32], (goOn) => {
      const waits = module.tuple.make([0, 0, 0].map((zero) => module.i32.const(zero)));
      return module.if(module.i32.eq(module.local.get(0, i32), reading()), waits, goOn);
    });
  });
}

/** The Worker's own WebAssembly with other exports: `instead` is given a name, types, and what makes of a call another. */
function ownAltered(alter) {
  const module = binaryen.readBinary(shim());
  const { BulkMemory, BulkMemoryOpt = 0, Multivalue, MutableGlobals, NontrappingFPToInt, ReferenceTypes, SIMD128, SignExt } = binaryen.Features;
  module.setFeatures(BulkMemory | BulkMemoryOpt | Multivalue | MutableGlobals | NontrappingFPToInt | ReferenceTypes | SIMD128 | SignExt);
  alter(module, (name, parameters, results, make) => {
    const result = binaryen.createType(results);
    const given = parameters.map((type, n) => module.local.get(n, type));
    const body = make(module.call(exportOf(module, name), given, result));
    module.addFunction(`altered ${name}`, binaryen.createType(parameters), result, [], body);
    module.removeExport(name);
    module.addFunctionExport(`altered ${name}`, name);
  });
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

// The Worker's own WebAssembly. It is called from here only, so that what it throws and how it dies is dealt with in
// one place.
import wasm from "../shim/tradewind_edge_bg.wasm";
import { __wbg_reset_state as reset, initSync, Trouble } from "../shim/tradewind_edge.js";

initSync({ module: wasm });
let instance = 0;

/** Why there is no answer: a status of HTTP, what is wrong, and whether whoever asks is told. */
export class Refusal extends Error {
  constructor(status, message, { fault, isPublic = true } = {}) {
    super(message);
    Object.assign(this, { status, fault, isPublic });
  }
}

/** What is wrong inside, which the log is told only. */
export const inside = (message) => new Refusal(503, message, { isPublic: false });

/** The instance that runs. Objects of another one must not be used. */
export const current = () => instance;

/** Calls into the WebAssembly, and throws nothing but a `Refusal`. */
export function ask(question) {
  try {
    return question();
  } catch (error) {
    throw refusal(error);
  }
}

/** The same, for what answers later. */
export async function askLater(question) {
  const born = instance;
  try {
    return await question();
  } catch (error) {
    throw refusal(error, born);
  }
}

function refusal(error, born = instance) {
  if (error instanceof Trouble) {
    const { status, message, fault, isPublic } = error;
    error.free();
    return new Refusal(status, message, { fault, isPublic });
  }
  // After a trap or an overflow of the stack its memory may be in disorder.
  if (born === instance && (error instanceof WebAssembly.RuntimeError || error instanceof RangeError)) {
    instance += 1;
    reset();
  }
  return inside(`the Worker's own code failed: ${error?.stack ?? error}`);
}

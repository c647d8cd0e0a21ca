// The Worker's WebAssembly. It is called only from here, so that exceptions and traps are handled in one place.
import wasm from "../shim/tradewind_edge_bg.wasm";
import { __wbg_reset_state as reset, initSync, Trouble } from "../shim/tradewind_edge.js";

/** Milliseconds between checks whether asynchronous work still has a request waiting for it. */
const LOOK = 20;

initSync({ module: wasm });
let instance = 0;

/** Current instance. Objects of other instances must not be used. */
export const current = () => instance;

/** Calls into the WebAssembly. Throws an error with the reason on failure. */
export function ask(question) {
  try {
    return question();
  } catch (error) {
    throw said(error);
  }
}

/**
 * The same for asynchronous work, a `Work`. It fails if the instance restarts meanwhile, or after `patience`
 * milliseconds.
 */
export async function askLater(question, patience = Infinity) {
  const [born, until] = [instance, Date.now() + patience];
  const work = ask(question);
  const turn = {};
  const wake = waking(turn);
  let timer;
  try {
    for (;;) {
      const coming = new Promise((comes) => (turn.comes = comes));
      const done = ask(() => work.goOn(wake));
      if (done) return done[0];
      timer ??= setInterval(() => {
        if (instance !== born || Date.now() >= until) turn.comes();
      }, LOOK);
      await coming;
      if (instance !== born) throw new Error("the Worker's WebAssembly was restarted");
      if (Date.now() >= until) throw new Error("timeout");
    }
  } finally {
    clearInterval(timer);
    if (instance === born) work.free();
  }
}

/**
 * Callback of the Rust code when `turn` may continue. Rust keeps it forever if a request is cancelled while it waits for
 * an event that never comes, so it must not hold `turn`. During the request, the timer does.
 */
function waking(turn) {
  const weak = new WeakRef(turn);
  return () => weak.deref()?.comes();
}

function said(error) {
  if (error instanceof Trouble) {
    const { message } = error;
    error.free();
    return new Error(message);
  }
  // After a trap or a stack overflow its memory may be inconsistent.
  if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) {
    instance += 1;
    reset();
  }
  return new Error(`the Worker's WebAssembly failed: ${error?.stack ?? error}`);
}

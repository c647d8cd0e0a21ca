// The Worker's own WebAssembly. It is called from here only, so that what it throws and how it dies is dealt with in
// one place.
import wasm from "../shim/tradewind_edge_bg.wasm";
import { __wbg_reset_state as reset, initSync, Trouble } from "../shim/tradewind_edge.js";

/** How often a question that takes its time looks whether it still has somebody to answer it, in milliseconds. */
const LOOK = 20;

initSync({ module: wasm });
let instance = 0;

/** The instance that runs. Objects of another one must not be used. */
export const current = () => instance;

/** Calls into the WebAssembly. Throws an error that says what is wrong inside. */
export function ask(question) {
  try {
    return question();
  } catch (error) {
    throw said(error);
  }
}

/**
 * The same for a question that takes its time, a `Work`. It has no answer where the instance begins again meanwhile,
 * nor after so many milliseconds.
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
      if (instance !== born) throw new Error("the Worker's own code began again");
      if (Date.now() >= until) throw new Error("it did not come in time");
    }
  } finally {
    clearInterval(timer);
    if (instance === born) work.free();
  }
}

/**
 * What the Rust code calls when `turn` may go on. It keeps that for good where a request is canceled and what it waits
 * for never comes, so it must not keep `turn`. While the request lasts, the timer does.
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
  // After a trap or an overflow of the stack its memory may be in disorder.
  if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) {
    instance += 1;
    reset();
  }
  return new Error(`the Worker's own code failed: ${error?.stack ?? error}`);
}

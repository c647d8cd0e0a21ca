/** The runtime in a web worker. */

import type { Backend, Heard } from "./backend.js";
import { type ErrorCode, TradewindError } from "./error.js";

/** What a worker says: an answer, or something of its own accord. */
interface Said {
  id?: number;
  value?: unknown;
  error?: { code: ErrorCode; message: string };
}

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: TradewindError) => void;
}

/** A backend behind a worker. */
export interface Remote {
  backend: Backend;
  /** Ends the worker: whatever it still owes is rejected. */
  stop(error: TradewindError): void;
}

/** Starts a backend behind a worker; `gone` is called when the worker cannot go on. */
export function remote(worker: Worker, heard: Heard, gone: () => void): Remote {
  const waiting = new Map<number, Waiting>();
  let next = 0;
  const stop = (error: TradewindError): void => {
    worker.terminate();
    for (const call of waiting.values()) call.reject(error);
    waiting.clear();
  };
  worker.addEventListener("message", ({ data: { id, value, error: said } }: MessageEvent<Said>) => {
    const error = said && new TradewindError(said.code, said.message);
    if (id === undefined) {
      if (error) heard.failed(error);
      else heard.alive();
      return;
    }
    const call = waiting.get(id);
    waiting.delete(id);
    if (error) call?.reject(error);
    else call?.resolve(value);
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    stop(new TradewindError("fetch", `the worker does not start: ${event.message || "its script cannot be loaded"}`));
    gone();
  });
  const backend = new Proxy({} as Backend, {
    get: (_, method) =>
      // A proxy that is awaited must not look like a promise.
      method === "then"
        ? undefined
        : (...args: unknown[]) =>
            new Promise((resolve, reject) => {
              waiting.set(next, { resolve, reject });
              worker.postMessage({ id: next++, method, args });
            }),
  });
  return { backend, stop };
}

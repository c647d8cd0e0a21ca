/** The runtime in a web worker. */

import type { Backend, Heard } from "./backend.js";
import { type ErrorCode, TradewindError } from "./error.js";

/** Message of a worker: a result, or a notification. */
interface Said {
  id?: number;
  value?: unknown;
  error?: { code: ErrorCode; message: string };
}

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: TradewindError) => void;
}

/** Backend in a worker. */
export interface Remote {
  backend: Backend;
  /** Terminates the worker: pending calls are rejected. */
  stop(error: TradewindError): void;
}

/** Starts a backend in a worker; `gone` is called when the worker has failed. */
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
      // An awaited proxy must not look like a promise.
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

/** The runtime in a web worker. */

import type { Backend } from "./backend.js";
import { type ErrorCode, TradewindError } from "./error.js";

interface Answer {
  id: number;
  value?: unknown;
  error?: { code: ErrorCode; message: string };
}

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: TradewindError) => void;
}

/** A backend behind a worker; `fail` is called once, when the worker cannot go on. */
export function remote(worker: Worker, fail: (error: TradewindError) => void): Backend {
  const waiting = new Map<number, Waiting>();
  let next = 0;
  worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
    const call = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error) call?.reject(new TradewindError(data.error.code, data.error.message));
    else call?.resolve(data.value);
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    const error = new TradewindError("fetch", `the worker does not start: ${event.message || "its script cannot be loaded"}`);
    for (const call of waiting.values()) call.reject(error);
    waiting.clear();
    fail(error);
  });
  return new Proxy({} as Backend, {
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
}

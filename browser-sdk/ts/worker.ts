/** The runtime behind a port: each message is a call, each answer has its number. */

import { TradewindError } from "./error.js";
import { Runtime } from "./runtime.js";

const runtime = new Runtime();

interface Call {
  id: number;
  method: keyof Runtime;
  args: unknown[];
}

addEventListener("message", async ({ data }: MessageEvent<Call>) => {
  const { id, method, args } = data;
  try {
    const value = await (runtime[method] as (...args: unknown[]) => Promise<unknown>).apply(runtime, args);
    postMessage({ id, value });
  } catch (error) {
    const { code, message } = TradewindError.of(error, "module");
    postMessage({ id, error: { code, message } });
  }
});

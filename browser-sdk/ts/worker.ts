/** The runtime behind a port: each message is a call, and each result has the call's number. */

import { TradewindError } from "./error.js";
import { Runtime } from "./runtime.js";

const plain = ({ code, message }: TradewindError): object => ({ code, message });

const runtime = new Runtime({
  alive: () => postMessage({}),
  failed: (error) => postMessage({ error: plain(error) }),
});

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
    postMessage({ id, error: plain(TradewindError.of(error, "module")) });
  }
});

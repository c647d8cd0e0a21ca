/** Static files: requests carry nothing that identifies shoppers, and progress is reported. */

import { base64 } from "./bytes.js";
import { TradewindError } from "./error.js";

/** Called on progress. */
export type Alive = () => void;

/** File with its Subresource Integrity: `sha384-…`. */
export interface Pinned {
  url: string;
  integrity: string;
}

/** Complete digest, in the browsers' syntax. */
export const INTEGRITY = /^sha(256-[\w+/]{43}=|384-[\w+/]{64}|512-[\w+/]{86}==)$/;

const failed = (url: string, what: string, why: unknown): TradewindError =>
  new TradewindError("fetch", `\`${url}\` cannot be ${what}: ${(why as Error).message ?? why}`);

/** Fetches a response with status 200. */
export async function get(url: string, what = "fetched"): Promise<Response> {
  const response = await fetch(url, { credentials: "omit", referrerPolicy: "no-referrer" }).catch((error: unknown) => {
    throw failed(url, what, error);
  });
  if (!response.ok) throw failed(url, what, `status ${response.status}`);
  return response;
}

/** Reads the bytes of a response. */
export async function body(response: Response, url: string, alive: Alive): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  try {
    const reader = response.body?.getReader();
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      alive();
      parts.push(part.value);
    }
  } catch (error) {
    throw failed(url, "read to its end", error);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Fetches the bytes of a file. */
export const bytes = async (url: string, alive: Alive): Promise<Uint8Array<ArrayBuffer>> =>
  body(await get(url), url, alive);

/** Fails if bytes do not match their integrity. */
export async function hold(bytes: BufferSource, { url, integrity }: Pinned): Promise<void> {
  const [kind = "", digest] = integrity.split("-");
  const { subtle } = crypto;
  if (!subtle) throw new TradewindError("untrusted", "digests cannot be checked here: serve the page over HTTPS");
  if (base64(new Uint8Array(await subtle.digest(kind.replace("sha", "SHA-"), bytes))) !== digest) {
    throw new TradewindError("fetch", `\`${url}\` is not what its integrity says`);
  }
}

/** Fetches a JSON document, and checks its integrity if given. */
export async function json<T>(url: string, alive: Alive, integrity?: string): Promise<T> {
  const document = await body(await get(url, "read"), url, alive);
  if (integrity !== undefined) await hold(document, { url, integrity });
  try {
    return JSON.parse(new TextDecoder().decode(document)) as T;
  } catch (error) {
    throw failed(url, "read", error);
  }
}

/** Rejects a promise after a time without progress. */
export function within<T>(milliseconds: number, what: string, work: (alive: Alive) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new TradewindError("timeout", `${what} took longer than ${milliseconds} ms`));
    let timer = setTimeout(late, milliseconds);
    const alive = (): void => {
      clearTimeout(timer);
      timer = setTimeout(late, milliseconds);
    };
    work(alive)
      .then(resolve, (error: unknown) => reject(TradewindError.of(error, "module")))
      .finally(() => clearTimeout(timer));
  });
}

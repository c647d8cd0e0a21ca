// Pages of the origin, filled while they stream.
//
// The origin is fetched once. Responses that are not pages pass unchanged. A page is read twice from the same response:
// as received, and through the WebAssembly; until an element to fill is found, the former can still be sent instead.
import { Page, profileOf } from "../shim/tradewind_edge.js";
import { directives, filled, mediaType, tell } from "./headers.mjs";
import { held, PATIENCE, refresh } from "./shop.mjs";
import { ask, askLater, current } from "./wasm.mjs";

/** Maximum bytes read at once. */
const PIECE = 64 << 10;
/** Maximum bytes of a page buffered before an element to fill is found. */
const AHEAD = 256 << 10;
/** Milliseconds that an origin may pause before its buffered bytes are sent. */
const PAUSE = 100;

/** Responds with the origin's page, filled where possible. */
export async function page(request, env, context) {
  const isWanted = request.method === "GET";
  if (isWanted) {
    // For the case that the platform ends this Worker because of time or memory.
    context.passThroughOnException();
    refresh(env, context);
  }
  const profile = isWanted ? shopper(request, env) : undefined;
  let response;
  try {
    response = await fetch(toOrigin(request, env));
  } catch (error) {
    console.error(`tradewind: the origin cannot be reached: ${error}`);
    return new Response("The shop cannot be reached at the moment. Please try again.", { status: 502 });
  }
  try {
    return isWanted && isPage(response) ? await prepared(request, response, profile, context) : response;
  } catch (error) {
    console.warn(`tradewind: ${new URL(request.url).pathname} passes unchanged: ${error.message}`);
    return passed(response);
  }
}

/** Request to the origin: `ORIGIN` replaces its scheme and host, unless the Worker's route leads there. */
function toOrigin(request, env) {
  const url = new URL(request.url);
  let target = url;
  if (env.ORIGIN) {
    target = new URL(env.ORIGIN);
    target.pathname = url.pathname;
    target.search = url.search;
  }
  const asked = new Request(target, request);
  asked.headers.set("x-forwarded-host", url.hostname);
  asked.headers.set("x-forwarded-proto", url.protocol.slice(0, -1));
  return asked;
}

/** Whether a response is a page that may be changed. */
function isPage(response) {
  const { status, headers, body } = response;
  // The platform passes other encodings through undecoded.
  const readable = ["", "identity", "gzip", "br"].includes(headers.get("content-encoding") ?? "");
  return status === 200 && body && readable && mediaType(headers).type === "text/html" && !directives(headers).has("no-transform");
}

/** Response for a page that stays unchanged, with the outcome in a header. */
function passed(response) {
  try {
    const answer = new Response(response.body, response);
    tell(answer.headers, "passed");
    return answer;
  } catch {
    return response;
  }
}

/** Profile in a request; none if it cannot be read in time. */
async function shopper(request, env) {
  try {
    return await askLater(() => profileOf(request, env), PATIENCE);
  } catch (error) {
    console.error(`tradewind: reading a profile failed: ${error.message}`);
    return undefined;
  }
}

/** Page with its slots and prices filled. */
async function prepared(request, response, profile, context) {
  const [known, shop] = await Promise.all([profile, held()]);
  const filling = new Filling(shop, request, response, known);
  const reader = response.clone().body.getReader({ mode: "byob" });
  let isUnderWay = false;
  try {
    const first = await filling.ahead(reader);
    if (first === undefined) return passed(response);
    const headers = filled(response.headers, filling.mode);
    const stream = new IdentityTransformStream();
    const answer = new Response(stream.readable, { status: 200, statusText: response.statusText, headers });
    context.waitUntil(filling.through(reader, stream.writable.getWriter(), first));
    isUnderWay = true;
    response.body.cancel().catch(() => {});
    return answer;
  } finally {
    if (!isUnderWay) {
      filling.free();
      reader.cancel().catch(() => {});
    }
  }
}

/** Page streaming through the WebAssembly. If that fails, its bytes continue unchanged. */
class Filling {
  /** Page, while it can be filled, and its instance of the WebAssembly. */
  #page;
  #instance = current();
  /** Mode: device or edge. */
  mode;
  /** Number of bytes received, and of those buffered. */
  #come = 0;
  #kept = new Uint8Array();
  #isAtEnd = false;
  /** Read in progress. */
  #reading;
  #room = new Uint8Array(PIECE);

  constructor(shop, request, response, profile) {
    this.#page = ask(() => new Page(shop, request, mediaType(response.headers).charset, profile));
    this.mode = { isPersonal: this.#page.personal, region: this.#page.region };
  }

  /**
   * Reads until an element to fill is found, and returns the bytes to send then; `undefined` without elements to fill.
   * If that is unknown in time, the page counts as one with elements.
   */
  async ahead(reader) {
    while (this.#come < AHEAD) {
      const bytes = await this.#soon(reader);
      if (bytes === undefined) break;
      const { leaving, isFound } = this.#push(bytes);
      if (isFound) return leaving;
      if (this.#isAtEnd) return undefined;
    }
    return this.#call((page) => page.release());
  }

  /** Writes the page, beginning with `first`. */
  async through(reader, writer, first) {
    try {
      if (first.length) await writer.write(first);
      while (!this.#isAtEnd) {
        const bytes = await this.#next(reader);
        const leaving = this.#goesOn(bytes);
        if (leaving.length) await writer.write(leaving);
      }
      await writer.close();
    } catch (error) {
      // The origin broke off, or the reader is gone: each side is notified. The only possible error is that they know
      // already.
      await writer.abort(error).catch(() => {});
      await reader.cancel(error).catch(() => {});
    } finally {
      this.free();
    }
  }

  free() {
    if (this.#instance === current()) this.#page?.free();
    this.#page = undefined;
  }

  /** Next bytes, unless the origin pauses for too long. The first bytes are always awaited. */
  async #soon(reader) {
    if (this.#come === 0) return this.#next(reader);
    const bytes = this.#next(reader);
    let timer;
    const pause = new Promise((over) => (timer = setTimeout(over, PAUSE)));
    try {
      return await Promise.race([bytes, pause]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Next bytes of the origin; none at its end. They are valid until the next read. */
  #next(reader) {
    this.#reading ??= reader.read(this.#room).then(({ done, value }) => {
      this.#reading = undefined;
      this.#isAtEnd = done;
      if (done) return new Uint8Array();
      this.#room = new Uint8Array(value.buffer);
      this.#come += value.length;
      return value;
    });
    return this.#reading;
  }

  /** Bytes to send for these received bytes. */
  #goesOn(bytes) {
    if (!this.#page) return bytes;
    try {
      return this.#push(bytes).leaving;
    } catch (error) {
      console.error(`tradewind: a page continues unchanged: ${error.message}`);
      this.free();
      return joined(this.#kept, bytes);
    }
  }

  #push(bytes) {
    const [leaving, isFound, left] = this.#call((page) => {
      const leaving = this.#isAtEnd ? page.finish() : page.push(bytes);
      return [leaving, page.found, page.left];
    });
    const kept = this.#come - left;
    this.#kept = kept > bytes.length ? joined(this.#kept, bytes).slice(-kept) : bytes.slice(bytes.length - kept);
    return { leaving, isFound };
  }

  #call(work) {
    if (this.#instance !== current()) throw new Error("the Worker's WebAssembly was restarted");
    return ask(() => work(this.#page));
  }
}

function joined(a, b) {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

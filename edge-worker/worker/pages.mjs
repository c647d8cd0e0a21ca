// Pages of the origin, filled while they stream.
//
// The origin is asked once. What is no page leaves as the very answer that came. A page is read twice from that one
// answer: as it came, and through the WebAssembly; until it is known that there is something to fill, the former may
// still leave in its place.
import { Page, profileOf } from "../shim/tradewind_edge.js";
import { directives, filled, mediaType, tell } from "./headers.mjs";
import { held, PATIENCE, refresh } from "./shop.mjs";
import { ask, askLater, current } from "./wasm.mjs";

/** The longest piece that is read at once, in bytes. */
const PIECE = 64 << 10;
/** How many bytes of a page are kept back at most while nothing to fill was found. */
const AHEAD = 256 << 10;
/** How many milliseconds an origin may pause before what has come of its page leaves. */
const PAUSE = 100;

/** Answers with the origin's page, filled where it can be. */
export async function page(request, env, context) {
  const isWanted = request.method === "GET";
  if (isWanted) {
    // Where the platform ends this Worker, for its time or its memory.
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
    console.warn(`tradewind: ${new URL(request.url).pathname} passes as it is: ${error.message}`);
    return passed(response);
  }
}

/** The request as the origin gets it: `ORIGIN` stands for its scheme and host, where the Worker's route does not. */
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

/** Whether an answer is a page whose bytes may be others. */
function isPage(response) {
  const { status, headers, body } = response;
  // Of other encodings the platform hands over the bytes as they are.
  const readable = ["", "identity", "gzip", "br"].includes(headers.get("content-encoding") ?? "");
  return status === 200 && body && readable && mediaType(headers).type === "text/html" && !directives(headers).has("no-transform");
}

/** A page that stays as it is, and says so to whoever looks. */
function passed(response) {
  try {
    const answer = new Response(response.body, response);
    tell(answer.headers, "passed");
    return answer;
  } catch {
    return response;
  }
}

/** The profile that a request brings; none where it cannot be read in time. */
async function shopper(request, env) {
  try {
    return await askLater(() => profileOf(request, env), PATIENCE);
  } catch (error) {
    console.error(`tradewind: a profile cannot be read: ${error.message}`);
    return undefined;
  }
}

/** A page with its slots and prices filled. */
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

/** A page on its way through the WebAssembly. Where that fails, the bytes go on as they came. */
class Filling {
  /** The page, while it can be filled, and the instance of the WebAssembly that it belongs to. */
  #page;
  #instance = current();
  /** For whom it is filled. */
  mode;
  /** How many bytes have come, and those of them that are kept back. */
  #come = 0;
  #kept = new Uint8Array();
  #isAtEnd = false;
  /** A read that has begun. */
  #reading;
  #room = new Uint8Array(PIECE);

  constructor(shop, request, response, profile) {
    this.#page = ask(() => new Page(shop, request, mediaType(response.headers).charset, profile));
    this.mode = { isPersonal: this.#page.personal, region: this.#page.region };
  }

  /**
   * Reads until something to fill is found, and returns what leaves then; nothing where there is nothing to fill.
   * Where that cannot be told in time, there may be.
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

  /** Writes the page, of which `first` leaves first. */
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
      // The origin has broken off, or nobody reads any more: each side learns of the other. That they know already is
      // all that can go wrong.
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

  /** The next bytes, if they come before the origin's pause is too long. The first ones are waited for. */
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

  /** The next bytes of the origin; none at its end. They hold until the next ones are asked for. */
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

  /** What leaves when these bytes have come. */
  #goesOn(bytes) {
    if (!this.#page) return bytes;
    try {
      return this.#push(bytes).leaving;
    } catch (error) {
      console.error(`tradewind: a page goes on as it came: ${error.message}`);
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
    if (this.#instance !== current()) throw new Error("the Worker's own code began again");
    return ask(() => work(this.#page));
  }
}

function joined(a, b) {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

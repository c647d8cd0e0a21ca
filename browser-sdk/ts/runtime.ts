/** The runtime: the module with its shim, and the profile. It runs in a web worker, or in the page. */

import init, { Pack, Runtime as Shim } from "../pkg/tradewind_browser.js";
import type { Backend, Received, Sources } from "./backend.js";
import { base64, fromBase64, fromHex, hex, sha256 } from "./bytes.js";
import { TradewindError } from "./error.js";
import * as store from "./store.js";
import type {
  Consent,
  Digest,
  ListedProduct,
  Loaded,
  Objective,
  ProfileExport,
  Quote,
  Ranking,
  RankRequest,
  ShopperEvent,
} from "./types.js";

interface Ranked {
  items: Ranking["items"];
  considered: number;
  profile: Uint8Array;
}

export class Runtime implements Backend {
  #shim: Shim | undefined;
  #sources: Sources | undefined;
  #loaded: Loaded | undefined;
  #consent: Consent = "denied";
  /** The profile where the browser lets nothing be stored: gone with the page. */
  #unstored: { profile: Uint8Array | undefined } | undefined;

  async load(sources: Sources): Promise<{ loaded: Loaded; consent: Consent }> {
    const started = performance.now();
    const since = (moment: number): number => performance.now() - moment;
    const shim = init();
    const packs = sources.packs.map(fetched);
    const snapshot = sources.snapshot === undefined ? undefined : fetched(sources.snapshot);
    // What fails first is reported; the others must not be unheard then.
    for (const promise of [shim, ...packs, snapshot]) promise?.catch(() => {});
    const { module, digest, compile } = await compiled(sources.module);
    await shim;
    const bytes = await Promise.all(packs);
    const snapshotBytes = await snapshot;
    const fetch = since(started) - compile;

    let step = performance.now();
    const files = await Promise.all(bytes.map((pack, n) => verified(pack, sources.packs[n] ?? "", sources.keys)));
    const file = snapshotBytes && (await verified(snapshotBytes, sources.snapshot ?? "", sources.keys));
    const digests: Digest[] = files.map(named);
    const loaded: Loaded = {
      module: { name: sources.module.url.replace(/.*\//, ""), digest: hex(digest) },
      packs: digests,
      snapshot: file ? named(file) : null,
      timings: { fetch, compile, verify: since(step), instantiate: 0, total: 0 },
    };
    step = performance.now();
    this.#shim = new Shim(module, files, file);
    loaded.timings.instantiate = since(step);
    this.#sources = sources;
    await this.#recall(sources);
    loaded.timings.total = since(started);
    this.#loaded = loaded;
    return { loaded, consent: this.#consent };
  }

  /** What of consent there is at the start. */
  async #recall({ consent, gpc }: Sources): Promise<void> {
    if (gpc || consent !== undefined) {
      await this.setConsent(consent ?? "denied");
    } else if (await store.exists().catch(() => false)) {
      this.#consent = "granted";
    }
  }

  async setConsent(consent: Consent): Promise<Consent> {
    this.#unstored = undefined;
    if (consent === "granted" && !this.#sources?.gpc) {
      await store.create().catch(() => (this.#unstored = { profile: undefined }));
      this.#consent = "granted";
    } else {
      this.#consent = "denied";
      await store.remove().catch(() => {});
    }
    return this.#consent;
  }

  async track(event: ShopperEvent): Promise<boolean> {
    if (this.#consent !== "granted") return false;
    const at = this.#now();
    // The module alone changes a profile: a ranking of no products takes the event in.
    const change = (profile: Uint8Array | undefined): Uint8Array =>
      (this.#ready.rank({ at, limit: 0, profile, events: [{ at, ...event }] }) as Ranked).profile;
    if (this.#unstored) {
      this.#unstored.profile = change(this.#unstored.profile);
    } else if (!(await store.update(change))) {
      this.#consent = "denied";
      return false;
    }
    return true;
  }

  async rank(request: RankRequest, receipt: boolean): Promise<Received<Ranking>> {
    const profile = await this.#profile();
    const started = performance.now();
    const { items, considered } = this.#ready.rank({ ...request, at: this.#now(), profile }) as Ranked;
    return this.#received({ items, considered, took: performance.now() - started }, receipt);
  }

  async quote(
    { sku, region, objective }: { sku: string; region: string; objective: Objective | undefined },
    receipt: boolean,
  ): Promise<Received<Quote>> {
    const request = { at: this.#now(), sku, region, objective: objective ?? this.#sources?.objective };
    const quote = this.#ready.quote(request) as Omit<Quote, "by" | "at" | "snapshot">;
    const snapshot = this.#loaded?.snapshot?.digest ?? "";
    return this.#received({ ...quote, at: request.at, snapshot, by: "device" }, receipt);
  }

  async products(skus: string[], region: string | undefined): Promise<(ListedProduct | null)[]> {
    return this.#ready.products(skus, region, this.#now()) as (ListedProduct | null)[];
  }

  async readRanking(reply: string): Promise<Ranking> {
    const { items, considered } = this.#ready.readRanking(fromBase64(reply)) as Ranked;
    return { items, considered, took: 0 };
  }

  /** Whether a request that was answered elsewhere has the same answer here, byte for byte. */
  async replay(request: string, reply: string): Promise<boolean> {
    return base64(this.#ready.exchange(fromBase64(request))) === reply;
  }

  async exportProfile(): Promise<ProfileExport | null> {
    const profile = await this.#profile();
    if (!profile) return null;
    return { ...this.#ready.profile(profile, this.#now()), bytes: base64(profile) } as ProfileExport;
  }

  async eraseProfile(): Promise<void> {
    if (this.#unstored) this.#unstored.profile = undefined;
    else if (this.#consent === "granted") await store.erase();
  }

  /** The profile, where it may be used. */
  async #profile(): Promise<Uint8Array | undefined> {
    if (this.#consent !== "granted") return undefined;
    return this.#unstored ? this.#unstored.profile : store.read();
  }

  /** An answer, with its receipt where one is wanted. */
  async #received<T extends object>(answer: T, wanted: boolean): Promise<Received<T>> {
    if (!wanted) return answer;
    const exchange = this.#ready.takeExchange() as { request: Uint8Array<ArrayBuffer>; reply: Uint8Array<ArrayBuffer> };
    const { module, packs, snapshot } = this.#loaded as Loaded;
    const digests = Promise.all([sha256(exchange.request), sha256(exchange.reply)]);
    const [request_digest, reply_digest] = (await digests).map(hex) as [string, string];
    const receipt = {
      module: module.digest,
      packs: packs.map(({ digest }) => digest).sort(),
      snapshot: snapshot?.digest ?? null,
      request_digest,
      reply_digest,
      request: hex(exchange.request),
      reply: hex(exchange.reply),
    };
    return { ...answer, receipt };
  }

  #now(): number {
    return this.#sources?.at ?? Date.now();
  }

  get #ready(): Shim {
    if (!this.#shim) throw new TradewindError("input", "nothing is loaded yet");
    return this.#shim;
  }
}

/** The bytes of a file. */
async function fetched(url: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await get(url, {})).arrayBuffer());
}

async function get(url: string, options: RequestInit): Promise<Response> {
  // Nothing that could tell shoppers apart goes along with a static file.
  const response = await fetch(url, { credentials: "omit", referrerPolicy: "no-referrer", ...options }).catch(
    (error: Error) => {
      const sworn = options.integrity ? ", or is not what its integrity says" : "";
      throw new TradewindError("fetch", `\`${url}\` cannot be fetched${sworn}: ${error.message}`);
    },
  );
  if (!response.ok) throw new TradewindError("fetch", `\`${url}\` cannot be fetched: status ${response.status}`);
  return response;
}

/** The module, compiled while it arrives, and its SHA-256. */
async function compiled({
  url,
  integrity,
}: Sources["module"]): Promise<{ module: WebAssembly.Module; digest: Uint8Array; compile: number }> {
  const response = await get(url, { integrity });
  const bytes = response.clone().arrayBuffer();
  const started = performance.now();
  try {
    // A server that gives it another type than application/wasm gets it compiled all the same.
    const module = await WebAssembly.compileStreaming(response).catch(async () => WebAssembly.compile(await bytes));
    return { module, digest: await sha256(await bytes), compile: performance.now() - started };
  } catch (error) {
    throw new TradewindError("module", `\`${url}\` cannot be compiled: ${(error as Error).message}`);
  }
}

/** A file whose digests and signature hold. */
async function verified(bytes: Uint8Array, url: string, keys: string[]): Promise<Pack> {
  const pack = new Pack(bytes);
  try {
    const [key, signature, signed, ...parts] = pack.parts() as Uint8Array<ArrayBuffer>[];
    const digests = new Uint8Array(32 * parts.length);
    for (const [n, part] of parts.entries()) digests.set(await sha256(part), 32 * n);
    pack.verify(digests, await holds(key, signature, signed), fromHex(keys.join("")));
    return pack;
  } catch (error) {
    const { code, message } = TradewindError.of(error, "untrusted");
    throw new TradewindError(code, `\`${url}\`: ${message}`);
  }
}

async function holds(
  key: Uint8Array<ArrayBuffer> | undefined,
  signature: Uint8Array<ArrayBuffer> | undefined,
  signed: Uint8Array<ArrayBuffer> | undefined,
): Promise<boolean> {
  if (!key?.length || !signature || !signed) return false;
  const { subtle } = crypto;
  if (!subtle) throw new TradewindError("untrusted", "signatures cannot be checked here: serve the page over HTTPS");
  try {
    const imported = await subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
    return await subtle.verify("Ed25519", imported, signature, signed);
  } catch (error) {
    // A key that is none is a signature that does not hold.
    if ((error as Error).name === "DataError") return false;
    throw new TradewindError("untrusted", `signatures cannot be checked here: ${(error as Error).message}`);
  }
}

function named(pack: Pack): Digest {
  return { name: pack.name(), digest: hex(pack.root()) };
}

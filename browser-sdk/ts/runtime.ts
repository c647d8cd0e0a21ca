/** Runtime: the module with its shim, and the profile. It runs in a web worker, or in the page. */

import init, { Guest, Pack } from "../pkg/tradewind_browser.js";
import type { Answered, Backend, Heard, Received, Sources } from "./backend.js";
import { base64, fromBase64, fromHex, hex, sha256 } from "./bytes.js";
import { checkEvent, checkQuote, checkRank } from "./check.js";
import { Columns, Skus } from "./columns.js";
import { TradewindError } from "./error.js";
import { type Alive, body, bytes, get, hold } from "./files.js";
import type { SkuBits } from "./generated.js";
import * as messages from "./messages.js";
import * as store from "./store.js";
import { Storefront } from "./storefront.js";
import { moment } from "./time.js";
import type {
  Consent,
  Digest,
  HandedProduct,
  ListedProduct,
  Loaded,
  ProductText,
  ProfileExport,
  Quote,
  Ranking,
  RankRequest,
  ShopperEvent,
} from "./types.js";

/** Milliseconds for which the browser's storage is not used after it failed. */
const PAUSE = 5_000;

export class Runtime implements Backend {
  readonly #heard: Heard;
  #guest: Guest | undefined;
  /** Name of the ranking pack. */
  #ranker: string | undefined;
  /** Products of the ranking pack, in its order. */
  #catalog: Skus | undefined;
  /** Products that slots may show, one bit each. */
  #offered: SkuBits | undefined;
  #storefront: Storefront | undefined;
  #words: Answered["words"] = {};
  /** Bytes of the last request and its reply. */
  #last: [request: Uint8Array<ArrayBuffer>, reply: Uint8Array<ArrayBuffer>] | undefined;
  #sources: Sources | undefined;
  #loaded: Loaded | undefined;
  #consent: Consent = "denied";
  /** Profile if the browser's storage is unavailable: it is lost with the page. */
  #unstored: { profile: Uint8Array | undefined } | undefined;
  /** Moment until which the browser's storage is not used. */
  #pausedUntil = 0;

  constructor(heard: Heard = { alive() {}, failed() {} }) {
    this.#heard = heard;
  }

  async load(sources: Sources): Promise<{ loaded: Loaded; consent: Consent }> {
    const started = performance.now();
    const since = (moment: number): number => performance.now() - moment;
    const { alive } = this.#heard;
    this.#sources = sources;
    const recalled = this.#recall(sources);
    const shim = init();
    const packs = sources.packs.map((url) => bytes(url, alive));
    const snapshot = sources.snapshot === undefined ? undefined : bytes(sources.snapshot, alive);
    // The first failure is reported; failures of the others must not count as unhandled rejections.
    for (const promise of [shim, ...packs, snapshot]) promise?.catch(() => {});
    const { module, digest, compile } = await compiled(sources.module, alive);
    await shim;
    const packBytes = await Promise.all(packs);
    const snapshotBytes = await snapshot;
    const fetch = since(started) - compile;

    let step = performance.now();
    const files = await Promise.all(packBytes.map((pack, n) => verified(pack, sources.packs[n] ?? "", sources.keys)));
    const file = snapshotBytes && (await verified(snapshotBytes, sources.snapshot ?? "", sources.keys));
    const about = files.map(known);
    const snapshotAbout = file && known(file);
    const loaded: Loaded = {
      module: { name: sources.module.url.replace(/.*\//, ""), digest: hex(digest) },
      packs: about.map(({ digest }) => digest),
      snapshot: null,
      timings: { fetch, compile, verify: since(step), instantiate: 0, total: 0 },
    };
    step = performance.now();
    const ranker = about.find(({ ranks }) => ranks);
    this.#ranker = ranker?.name;
    this.#words = Object.fromEntries(about.map(({ name, words }) => [name, words]));
    // The SKUs of the catalogue are the first columns.
    this.#catalog = ranker && new Skus(new Columns(ranker.products));
    if (snapshotAbout) {
      this.#storefront = new Storefront(snapshotAbout.products);
      const { name, digest } = snapshotAbout.digest;
      loaded.snapshot = { name, digest: this.#storefront.sliceOf ?? digest };
    }
    this.#guest = new Guest(module, files, file);
    loaded.timings.instantiate = since(step);
    await recalled;
    loaded.timings.total = since(started);
    this.#loaded = loaded;
    return { loaded, consent: this.#consent };
  }

  /** Determines the initial consent. */
  async #recall({ consent, gpc }: Sources): Promise<void> {
    if (gpc || consent !== undefined) await this.setConsent(consent ?? "denied");
    else await this.heardConsent("granted");
  }

  async setConsent(consent: Consent): Promise<Consent> {
    this.#unstored = undefined;
    if (consent === "granted" && !this.#sources?.gpc) {
      if (!(await this.#stored(store.create().then(() => true)))) this.#unstored = { profile: undefined };
      this.#consent = "granted";
    } else {
      this.#consent = "denied";
      await this.#stored(store.remove());
    }
    return this.#consent;
  }

  async heardConsent(consent: Consent): Promise<Consent> {
    if (consent === "denied") {
      this.#unstored = undefined;
      this.#consent = "denied";
    } else if (!this.#sources?.gpc && !this.#unstored) {
      const exists = await this.#stored(store.exists());
      if (exists !== undefined) this.#consent = exists ? "granted" : "denied";
    }
    return this.#consent;
  }

  /** Result of the browser's storage; `undefined` if it fails, after the failure is reported. */
  async #stored<T>(answer: Promise<T>): Promise<T | undefined> {
    try {
      return await answer;
    } catch (error) {
      this.#pausedUntil = performance.now() + PAUSE;
      this.#heard.failed(TradewindError.of(error, "storage"));
      return undefined;
    }
  }

  async track(events: ShopperEvent[], products: HandedProduct[]): Promise<ShopperEvent[] | undefined> {
    if (this.#consent !== "granted") return undefined;
    const now = this.#now();
    for (const event of events) checkEvent(event, now);
    // Only the module changes a profile: a ranking of no products adds the events.
    const change = (profile: Uint8Array | undefined): Uint8Array =>
      messages.readRanking(this.#ask(messages.rankRequest(this.#pack, now, { limit: 0 }, profile, events))).profile;
    if (this.#unstored) {
      this.#unstored.profile = change(this.#unstored.profile);
    } else if (!(await store.update(change).catch(unstored))) {
      this.#consent = "denied";
      return undefined;
    }
    if (products.length && !this.#unstored) await this.#stored(store.add(products));
    return events.map((event) => ({ ...event, at: event.at ?? moment(now) }));
  }

  async rank(request: RankRequest, receipt: boolean): Promise<Received<Ranking>> {
    return this.#ranking(request, undefined, receipt);
  }

  async #ranking(
    request: RankRequest,
    available: SkuBits | undefined,
    receipt: boolean,
  ): Promise<Received<Ranking>> {
    checkRank(request);
    const [profile, products] = [await this.#profile(), await this.#products()];
    const started = performance.now();
    const message = messages.rankRequest(this.#pack, this.#now(), request, profile, [], available, products.values());
    const reply = this.#ask(message);
    const took = performance.now() - started;
    const { items, considered } = messages.readRanking(reply);
    return this.#received({ items, considered, took }, receipt);
  }

  async offer(skus: string[]): Promise<number> {
    const listed = skus.filter((sku) => this.#listed.has(sku)).map((sku) => this.#catalog?.place(sku));
    const known = new Set(listed.filter((place) => place !== undefined));
    this.#offered = messages.bits(this.#catalog?.length ?? 0, known);
    return known.size;
  }

  async rankOffered(request: RankRequest): Promise<Ranking> {
    return this.#ranking(request, this.#offered, false);
  }

  async quote(
    { sku, region, objective = this.#sources?.objective ?? {} }: Parameters<Backend["quote"]>[0],
    receipt: boolean,
  ): Promise<Received<Quote>> {
    checkQuote({ sku, region, objective });
    const [at, { currency }, snapshot] = [this.#now(), this.#listed, this.#loaded?.snapshot?.digest ?? ""];
    const quote = messages.readQuote(this.#ask(messages.quoteRequest(fromHex(snapshot), at, sku, region, objective)));
    return this.#received({ ...quote, currency, at: moment(at), snapshot, by: "device" }, receipt);
  }

  async products(skus: string[], region: string | undefined): Promise<(ListedProduct | null)[]> {
    const [at, stored] = [this.#now(), await this.#products()];
    return skus.map((sku) => {
      const handed = stored.get(sku);
      const listed = this.#listed.product(sku, region, at);
      const holds = handed && at < Date.parse(handed.until) && handed.row.regions.includes(region ?? "");
      return listed ?? (holds ? this.#listed.handed(handed, region, at) : null);
    });
  }

  async texts(skus: string[]): Promise<Record<string, ProductText>> {
    const stored = await this.#products();
    const known = skus.flatMap((sku) => stored.get(sku) ?? []);
    return Object.fromEntries(known.map(({ row, text }) => [row.sku, text]));
  }

  async readRanking(reply: string): Promise<Ranking> {
    const { items, considered } = messages.readRanking(fromBase64(reply));
    return { items, considered, took: 0 };
  }

  async ask(question: messages.Question): Promise<Answered> {
    const reply = this.#ask(messages.insightRequest(this.#now(), question, await this.#profile()));
    return { reply, words: this.#words };
  }

  /** Whether a request that was answered elsewhere gets an identical reply here. */
  async replay(request: string, reply: string): Promise<boolean> {
    return base64(this.#ask(fromBase64(request))) === reply;
  }

  async exportProfile(): Promise<ProfileExport | null> {
    const profile = await this.#profile();
    if (!profile) return null;
    return { ...messages.readProfile(profile, this.#now()), bytes: base64(profile) };
  }

  async eraseProfile(): Promise<void> {
    if (this.#unstored) this.#unstored.profile = undefined;
    else if (this.#consent === "granted") await store.erase();
  }

  /** Profile of the shopper; `undefined` without consent. */
  async #profile(): Promise<Uint8Array | undefined> {
    if (this.#consent !== "granted") return undefined;
    if (this.#unstored) return this.#unstored.profile;
    // Rank as for a new shopper rather than wait for the storage at each ranking.
    return performance.now() < this.#pausedUntil ? undefined : this.#stored(store.read());
  }

  /** Products outside the slice; none without consent, and none where the page has everything. */
  async #products(): Promise<store.Products> {
    const readable = this.#storefront?.sliceOf && this.#consent === "granted" && !this.#unstored && performance.now() >= this.#pausedUntil;
    return (readable && (await this.#stored(store.products()))) || new Map();
  }

  /** Answer, with its receipt if one is wanted. */
  async #received<T extends object>(answer: T, wanted: boolean): Promise<Received<T>> {
    if (!wanted || !this.#last) return answer;
    const [request, reply] = this.#last;
    const { module, packs, snapshot } = this.#loaded as Loaded;
    const digests = Promise.all([sha256(request), sha256(reply)]);
    const [request_digest, reply_digest] = (await digests).map(hex) as [string, string];
    const receipt = {
      module: module.digest,
      packs: packs.map(({ digest }) => digest).sort(),
      snapshot: snapshot?.digest ?? null,
      request_digest,
      reply_digest,
      request: hex(request),
      reply: hex(reply),
    };
    return { ...answer, receipt };
  }

  #now(): number {
    return this.#sources?.at ?? Date.now();
  }

  /** Reply of the module. */
  #ask(request: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    if (!this.#guest) throw new TradewindError("input", "nothing is loaded yet");
    const reply = this.#guest.exchange(request) as Uint8Array<ArrayBuffer>;
    this.#last = [request, reply];
    return reply;
  }

  get #pack(): string {
    if (!this.#ranker) throw new TradewindError("input", "no ranking pack is loaded; name one in `packs`");
    return this.#ranker;
  }

  get #listed(): Storefront {
    if (!this.#storefront) throw new TradewindError("input", "no snapshot is loaded; name one in `snapshot`");
    return this.#storefront;
  }
}

/** Reports a failure of the storage to the caller of `track`. */
const unstored = (error: unknown): never => {
  throw TradewindError.of(error, "storage");
};

/** Compiles the module while it arrives; returns it with its SHA-256. It does not run before its integrity is checked. */
async function compiled(
  pinned: Sources["module"],
  alive: Alive,
): Promise<{ module: WebAssembly.Module; digest: Uint8Array; compile: number }> {
  const { url } = pinned;
  const response = await get(url);
  const arriving = body(response.clone(), url, alive);
  // A module that is not served as application/wasm is compiled after it has arrived.
  const compiling = WebAssembly.compileStreaming(response).catch(async () => WebAssembly.compile(await arriving));
  compiling.catch(() => {});
  const bytes = await arriving;
  const started = performance.now();
  await hold(bytes, pinned);
  try {
    return { module: await compiling, digest: await sha256(bytes), compile: performance.now() - started };
  } catch (error) {
    throw new TradewindError("module", `\`${url}\` cannot be compiled: ${(error as Error).message}`);
  }
}

/** Verifies the digests and the signature of a file. */
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
    // With an invalid key, the signature is invalid.
    if ((error as Error).name === "DataError") return false;
    throw new TradewindError("untrusted", `signatures cannot be checked here: ${(error as Error).message}`);
  }
}

/** Description of a file, with its columns of products. */
function known(pack: Pack): { name: string; ranks: boolean; digest: Digest; products: Uint8Array; words: Uint8Array } {
  type About = [string, string, Uint8Array, boolean, Uint8Array, Uint8Array];
  const [name, version, root, ranks, products, words] = pack.about() as About;
  return { name, ranks, digest: { name: `${name} ${version}`, digest: hex(root) }, products, words };
}

import type { Answered, Backend, Heard, Received } from "./backend.js";
import { EdgeProfile } from "./edge.js";
import { TradewindError } from "./error.js";
import { within } from "./files.js";
import { checkConsent, type LoadOptions, patience, type Resolved, resolved } from "./options.js";
import { products, type Texts } from "./products.js";
import { type Remote, remote } from "./remote.js";
import type {
  Consent,
  Handover,
  ListedProduct,
  Loaded,
  ProfileExport,
  Quote,
  QuoteRequest,
  Ranking,
  RankRequest,
  Receipt,
  ShopperEvent,
} from "./types.js";
import { learn, type Words } from "./words.js";

/** How this build of the package reaches its other files. */
export interface Place {
  worker(): Worker;
  runtime(): Promise<{ Runtime: new (heard: Heard) => Backend }>;
  /** The words of languages other than English. */
  words: Record<string, () => Promise<{ default: Words[string] }>>;
  /** Called with each instance once it is loaded; returns what ends its work on the page's elements. */
  attach(tradewind: Tradewind): () => void;
}

/** What `on` tells of. */
export interface Events {
  /** Products of a slot came into view: each is told of once for a slot and a page view. */
  exposure: { slot: string; by: "edge" | "device"; skus: string[] };
  /** A ranking or a price was made. */
  decision: { kind: "rank" | "quote"; took: number };
  /** The profile changed, or was erased: here or in another tab. */
  profile: { erased: boolean };
  /** Consent changed: here or in another tab. */
  consent: { consent: Consent };
  /** Something failed; the page's own content is still there. Where nobody listens, it is on the console. */
  error: TradewindError;
}

/** What instances tell each other, in this tab and in others. */
type Told = { consent: Consent } | { profile: Events["profile"] };

/** How consent stands. */
export interface ConsentState {
  consent: Consent;
  /** The browser asks by Global Privacy Control that nothing be kept, and nothing is. */
  gpc: boolean;
}

/** Tradewind in a page. */
export class Tradewind {
  readonly #place: Place;
  readonly #options: LoadOptions;
  readonly #resolved: Resolved;
  readonly #listeners = new Map<keyof Events, Set<(detail: never) => void>>();
  readonly #edge: EdgeProfile | undefined;
  /** The instances of this origin. */
  readonly #others = new BroadcastChannel("tradewind");
  #backend: Promise<Backend> | undefined;
  #remote: Remote | undefined;
  #loaded: Loaded | undefined;
  #consent: Consent = "denied";
  #handover: Handover | null | undefined;
  #texts: Promise<Texts> | undefined;
  /** The runtime that knows which products slots may show. */
  #offered: Backend | undefined;
  #detach = (): void => {};
  #closed = false;

  private constructor(place: Place, options: LoadOptions, resolved: Resolved) {
    this.#place = place;
    this.#options = options;
    this.#resolved = resolved;
    if (resolved.events !== undefined) this.#edge = new EdgeProfile(resolved.events, (error) => this.#emit("error", error));
    this.#others.onmessage = ({ data }: MessageEvent<Told>) => void this.#hear(data);
  }

  /** @internal */
  static place: Place;

  /**
   * Loads the module with packs and snapshot, each checked, and fills `<tradewind-slot>` and `<tradewind-price>`.
   *
   * Whatever fails, the page's own content stays; the promise is rejected with a {@link TradewindError}.
   */
  static async load(options: LoadOptions): Promise<Tradewind> {
    if (typeof document === "undefined") {
      throw new TradewindError("config", "there is no document here: call `Tradewind.load` in a browser");
    }
    const place = Tradewind.place;
    const tradewind = new Tradewind(place, options, await resolved(options));
    try {
      await Promise.all([tradewind.#ready(), tradewind.#learn()]);
    } catch (error) {
      tradewind.close();
      throw error;
    }
    if (options.consent !== undefined) tradewind.#tell({ consent: tradewind.#consent });
    tradewind.#detach = place.attach(tradewind);
    return tradewind;
  }

  /** Fetches the words of the page's language; reasons are said in English where there are none, or they do not come. */
  async #learn(): Promise<void> {
    const language = this.locale.split("-")[0] ?? "";
    const texts = await this.#place.words[language]?.().catch(() => null);
    if (texts) learn(language, texts.default);
  }

  /** What is loaded: names, digests, and how long it took. */
  get loaded(): Loaded {
    if (!this.#loaded) throw new TradewindError("closed", "nothing is loaded");
    return this.#loaded;
  }

  /** How consent stands. */
  get consent(): ConsentState {
    return { consent: this.#consent, gpc: this.#resolved.sources.gpc };
  }

  /** The language of prices and dates. */
  get locale(): string {
    return this.#resolved.locale;
  }

  /** Where the shopper is, as far as the page knows. */
  get region(): string | undefined {
    return this.#resolved.region;
  }

  /**
   * Takes what the shopper decided. `granted` is remembered on this device; `denied` erases the profile and leaves
   * nothing there.
   */
  async setConsent(consent: Consent): Promise<ConsentState> {
    checkConsent(consent);
    if (consent === "denied") this.#edge?.forget();
    let failure: unknown;
    try {
      this.#consent = await this.#call((backend) => backend.setConsent(consent));
    } catch (error) {
      if (consent === "granted") throw error;
      // Withdrawn it is, whatever becomes of the runtime.
      this.#consent = "denied";
      failure = error;
    }
    this.#tell({ consent: this.#consent });
    if (!this.consent.gpc) await this.#edge?.consent(this.#consent);
    this.#emit("consent", { consent: this.#consent });
    if (failure) throw failure;
    return this.consent;
  }

  /**
   * Takes in what the shopper did, now or earlier: one thing, or a history. `false` where there is no consent: then it is
   * forgotten at once.
   */
  async track(events: ShopperEvent | ShopperEvent[]): Promise<boolean> {
    const taken = await this.#call((backend) => backend.track([events].flat()));
    if (!taken) {
      // It was withdrawn in another tab.
      if (this.#consent === "granted") await this.#hear({ consent: "denied" });
      return false;
    }
    if (this.#consent === "granted") this.#edge?.track(taken);
    // What was shown or searched for changes no profile; so a page may track what it exposes.
    if (taken.some((event) => !("impression" in event || "search" in event))) this.#changed({ erased: false });
    return true;
  }

  /** Ranks products, for the profile of this device where there is one. */
  async rank(request: RankRequest): Promise<Ranking>;
  /** Ranks, with a receipt. It holds the request with the profile: it is the shopper's, and not for sending. */
  async rank(request: RankRequest, options: { receipt: true }): Promise<Ranking & { receipt: Receipt }>;
  async rank(request: RankRequest, { receipt = false } = {}): Promise<Received<Ranking>> {
    const ranking = await this.#call((backend) => backend.rank({ region: this.region, ...request }, receipt));
    this.#emit("decision", { kind: "rank", took: ranking.took });
    return ranking;
  }

  /**
   * Prices a product: in this page where the merchant publishes what that takes, else the price that the edge handed
   * over. Nothing in the request could carry a person.
   */
  async quote(request: QuoteRequest): Promise<Quote>;
  /** Prices a product in this page, with a receipt. */
  async quote(request: QuoteRequest, options: { receipt: true }): Promise<Quote & { receipt: Receipt }>;
  async quote({ sku, region = this.region, objective }: QuoteRequest, { receipt = false } = {}): Promise<Received<Quote>> {
    if (region === undefined) {
      throw new TradewindError("input", "no region is known; give `region`, or name one at the page's root element");
    }
    const started = performance.now();
    try {
      const quote = await this.#call((backend) => backend.quote({ sku, region, objective }, receipt));
      this.#emit("decision", { kind: "quote", took: performance.now() - started });
      return quote;
    } catch (error) {
      const handed = objective || receipt ? null : this.#handedQuote(sku, region);
      if ((error as TradewindError).code !== "refused" || !handed) throw error;
      return handed;
    }
  }

  /** The price that the edge handed over, for the region and the time that it was made for. */
  #handedQuote(sku: string, region: string): Quote | null {
    const handed = this.handover?.region === region && this.handover.quotes.find((quote) => quote.sku === sku)?.quote;
    if (!handed) return null;
    return Date.parse(handed.valid_until) > this.now ? { ...handed, by: "edge" } : null;
  }

  /** What everyone may know of products, in the order of their SKUs; `null` for what the snapshot does not have. */
  async products(skus: string[], region = this.region): Promise<(ListedProduct | null)[]> {
    return this.#call((backend) => backend.products(skus, region));
  }

  /** The profile on this device. */
  readonly profile = {
    /** All that is kept; `null` where nothing is. */
    export: (): Promise<ProfileExport | null> => this.#call((backend) => backend.exportProfile()),
    /** Forgets it. */
    erase: async (): Promise<void> => {
      await this.#call((backend) => backend.eraseProfile());
      if (this.#consent === "granted") await this.#edge?.consent("denied");
      this.#changed({ erased: true });
    },
  };

  /** Calls `listener` from now on; returns a function that ends it. */
  on<K extends keyof Events>(event: K, listener: (detail: Events[K]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener as (detail: never) => void));
    return () => listeners.delete(listener as (detail: never) => void);
  }

  /** What the edge handed over with the page; `null` where it did not. */
  get handover(): Handover | null {
    if (this.#handover === undefined) {
      const script = document.getElementById("tradewind-handover")?.textContent;
      try {
        this.#handover = script ? (JSON.parse(script) as Handover) : null;
      } catch {
        this.#handover = null;
        this.#emit("error", new TradewindError("config", "`#tradewind-handover` is no JSON"));
      }
    }
    return this.#handover;
  }

  /** Whether what the edge answered for a slot is what this page's module answers to the same request, byte for byte. */
  async replay(slot: string): Promise<boolean> {
    const handed = this.handover?.slots.find((handed) => handed.slot === slot);
    if (!handed) throw new TradewindError("input", `the edge handed nothing over for the slot \`${slot}\``);
    return this.#call((backend) => backend.replay(handed.request, handed.reply));
  }

  /** Stops: what is on the page stays as it is. Another instance that is loaded takes over the page's elements. */
  close(): void {
    this.#closed = true;
    this.#others.close();
    this.#detach();
    this.#stop(new TradewindError("closed", "Tradewind was closed on this page"));
  }

  /** @internal The moment that counts as now. */
  get now(): number {
    return this.#resolved.sources.at ?? Date.now();
  }

  /** @internal The ranking that the edge handed over for a slot. */
  async handed(slot: string): Promise<Ranking | null> {
    const handed = this.handover?.slots?.find((handed) => handed.slot === slot);
    return handed ? this.#call((backend) => backend.readRanking(handed.reply)) : null;
  }

  /** @internal The products that slots may show. One that could not be fetched is fetched again for the next call. */
  get texts(): Promise<Texts> {
    this.#texts ??= this.#fetchTexts().catch((error: unknown) => {
      this.#texts = undefined;
      throw error;
    });
    return this.#texts;
  }

  async #fetchTexts(): Promise<Texts> {
    const file = this.#resolved.products;
    if (!file) throw new TradewindError("config", "`products` is missing, which slots need");
    return within(patience(this.#options), `\`${file.url}\``, (alive) =>
      products(file, alive, (error) => this.#emit("error", error)),
    );
  }

  /** @internal Ranks for a slot: the products that it may show. */
  async rankOffered(request: RankRequest): Promise<Ranking> {
    const skus = Object.keys(await this.texts);
    const ranking = await this.#call(async (backend) => {
      if (this.#offered !== backend && !(await backend.offer(skus))) {
        throw new TradewindError("config", "`products` has none of the ranked products");
      }
      this.#offered = backend;
      return backend.rankOffered({ region: this.region, ...request });
    });
    this.#emit("decision", { kind: "rank", took: ranking.took });
    return ranking;
  }

  /** @internal Asks the module with the profile between two parts of a request. */
  async ask(before: Uint8Array, after: Uint8Array): Promise<Answered> {
    return this.#call((backend) => backend.ask(before, after));
  }

  /** @internal */
  get card(): Resolved["card"] {
    return this.#resolved.card;
  }

  /** @internal */
  tell<K extends keyof Events>(event: K, detail: Events[K]): void {
    this.#emit(event, detail);
  }

  #emit<K extends keyof Events>(event: K, detail: Events[K]): void {
    const listeners = this.#listeners.get(event);
    if (event === "error" && !listeners?.size) console.warn(detail);
    for (const listener of listeners ?? []) (listener as (detail: Events[K]) => void)(detail);
  }

  /** Says to the other instances what has happened. */
  #tell(what: Told): void {
    if (!this.#closed) this.#others.postMessage(what);
  }

  #changed(how: Events["profile"]): void {
    this.#tell({ profile: how });
    this.#emit("profile", how);
  }

  /** Takes over what happened in another tab, or by another instance in this one. */
  async #hear(told: Told): Promise<void> {
    if ("profile" in told) return this.#emit("profile", told.profile);
    const before = this.#consent;
    if (told.consent === "denied") {
      this.#consent = "denied";
      this.#edge?.forget();
    }
    try {
      this.#consent = await this.#call((backend) => backend.heardConsent(told.consent));
    } catch (error) {
      if (!this.#closed) this.#emit("error", TradewindError.of(error, "module"));
    }
    if (this.#consent !== before) this.#emit("consent", { consent: this.#consent });
  }

  /** Asks the runtime, within the time that a call may take. */
  async #call<T>(ask: (backend: Backend) => Promise<T>): Promise<T> {
    const ready = this.#ready();
    const backend = await ready;
    try {
      return await within(this.#options.timeout ?? 2_000, "the call", () => ask(backend));
    } catch (error) {
      // Whatever it hangs in, the next call has a new one.
      if ((error as TradewindError).code === "timeout" && this.#backend === ready) this.#stop(error as TradewindError);
      throw error;
    }
  }

  /** The runtime, started if need be. */
  #ready(): Promise<Backend> {
    if (this.#closed) return Promise.reject(new TradewindError("closed", "Tradewind was closed on this page"));
    if (!this.#backend) {
      const ready: Promise<Backend> = within(patience(this.#options), "loading", (alive) => this.#start(alive)).catch(
        (error: TradewindError) => {
          if (this.#backend === ready) this.#stop(error);
          throw error;
        },
      );
      this.#backend = ready;
    }
    return this.#backend;
  }

  async #start(alive: () => void): Promise<Backend> {
    // A page that waits for what is loaded has its listeners only then.
    const tell = (error: TradewindError): unknown => setTimeout(() => this.#emit("error", error));
    const heard: Heard = { alive, failed: (error) => void this.#backend?.then(() => tell(error), () => {}) };
    let backend: Backend;
    if (this.#options.run === "page") {
      const { Runtime } = await this.#place.runtime();
      backend = new Runtime(heard);
    } else {
      const started = remote(this.#place.worker(), heard, () => {
        if (this.#remote === started) this.#stop(new TradewindError("fetch", "the worker ended"));
      });
      this.#remote = started;
      backend = started.backend;
    }
    // A runtime that is started anew has the consent of the one before, unless another tab has changed it.
    const again = this.#consent === "granted" ? this.#consent : undefined;
    const consent = this.#loaded ? again : this.#resolved.sources.consent;
    const { loaded, consent: now } = await backend.load({ ...this.#resolved.sources, consent });
    this.#loaded = loaded;
    this.#consent = now;
    return backend;
  }

  /** Drops the runtime: whatever it still owes fails. */
  #stop(error: TradewindError): void {
    this.#remote?.stop(error);
    this.#remote = undefined;
    this.#backend = undefined;
  }
}

import type { Backend, Received } from "./backend.js";
import { EdgeProfile } from "./edge.js";
import { TradewindError } from "./error.js";
import { checkConsent, json, type LoadOptions, type ProductText, type Resolved, resolved } from "./options.js";
import { remote } from "./remote.js";
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

/** How this build of the package reaches its other files. */
export interface Place {
  worker(): Worker;
  runtime(): Promise<{ Runtime: new () => Backend }>;
  /** Called with each new instance that runs in a document. */
  attach(tradewind: Tradewind): void;
}

/** What `on` tells of. */
export interface Events {
  /** Products of a slot came into view. */
  exposure: { slot: string; by: "edge" | "device"; skus: string[] };
  /** A ranking or a price was made. */
  decision: { kind: "rank" | "quote"; took: number };
  /** The profile changed, or was erased. */
  profile: { erased: boolean };
  /** Consent changed. */
  consent: { consent: Consent };
  /** Something failed; the page's own content is still there. Where nobody listens, it is on the console. */
  error: TradewindError;
}

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
  #backend: Promise<Backend> | undefined;
  #worker: Worker | undefined;
  #loaded: Loaded | undefined;
  #consent: Consent = "denied";
  #handover: Handover | null | undefined;
  #products: Promise<Record<string, ProductText>> | undefined;
  #closed = false;

  private constructor(place: Place, options: LoadOptions, resolved: Resolved) {
    this.#place = place;
    this.#options = options;
    this.#resolved = resolved;
    if (resolved.events !== undefined) this.#edge = new EdgeProfile(resolved.events, (error) => this.#emit("error", error));
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
    await tradewind.#ready();
    place.attach(tradewind);
    return tradewind;
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
    this.#consent = await this.#call((backend) => backend.setConsent(consent));
    if (!this.consent.gpc) await this.#edge?.consent(this.#consent);
    this.#emit("consent", { consent: this.#consent });
    return this.consent;
  }

  /**
   * Takes in what the shopper did, now or earlier: one thing, or a history. `false` where there is no consent: then it is
   * forgotten at once.
   */
  async track(events: ShopperEvent | ShopperEvent[]): Promise<boolean> {
    const taken = await this.#call((backend) => backend.track([events].flat()));
    if (!taken) return false;
    this.#edge?.track(taken);
    this.#emit("profile", { erased: false });
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
      const handed = this.handover?.quotes.find((quote) => quote.sku === sku)?.quote;
      if ((error as TradewindError).code !== "refused" || !handed || receipt) throw error;
      return { ...handed, at: Date.parse(handed.at), valid_until: Date.parse(handed.valid_until), by: "edge" };
    }
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
      this.#emit("profile", { erased: true });
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
      this.#handover = script ? (JSON.parse(script) as Handover) : null;
    }
    return this.#handover;
  }

  /** Whether what the edge answered for a slot is what this page's module answers to the same request, byte for byte. */
  async replay(slot: string): Promise<boolean> {
    const handed = this.handover?.slots.find((handed) => handed.slot === slot);
    if (!handed) throw new TradewindError("input", `the edge handed nothing over for the slot \`${slot}\``);
    return this.#call((backend) => backend.replay(handed.request, handed.reply));
  }

  /** Stops: what is on the page stays as it is. */
  close(): void {
    this.#closed = true;
    this.#stop();
  }

  /** @internal */
  get closed(): boolean {
    return this.#closed;
  }

  /** @internal The ranking that the edge handed over for a slot. */
  async handed(slot: string): Promise<Ranking | null> {
    const handed = this.handover?.slots.find((handed) => handed.slot === slot);
    return handed ? this.#call((backend) => backend.readRanking(handed.reply)) : null;
  }

  /** @internal */
  get texts(): Promise<Record<string, ProductText>> {
    const { products } = this.#resolved;
    if (products === undefined) throw new TradewindError("config", "`products` is missing, which slots need");
    return (this.#products ??= json<Record<string, ProductText>>(products));
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

  /** Asks the runtime, within the time that a call may take. */
  async #call<T>(ask: (backend: Backend) => Promise<T>): Promise<T> {
    const backend = await this.#ready();
    try {
      return await within(ask(backend), this.#options.timeout ?? 2_000, "the call");
    } catch (error) {
      // Whatever it hangs in, the next call has a new one.
      if ((error as TradewindError).code === "timeout") this.#stop();
      throw error;
    }
  }

  /** The runtime, started if need be. */
  #ready(): Promise<Backend> {
    if (this.#closed) return Promise.reject(new TradewindError("closed", "Tradewind was closed on this page"));
    this.#backend ??= within(this.#start(), this.#options.loadTimeout ?? 10_000, "loading").catch((error: unknown) => {
      this.#stop();
      throw error;
    });
    return this.#backend;
  }

  async #start(): Promise<Backend> {
    let backend: Backend;
    if (this.#options.run === "page") {
      const { Runtime } = await this.#place.runtime();
      backend = new Runtime();
    } else {
      this.#worker = this.#place.worker();
      backend = remote(this.#worker, () => this.#stop());
    }
    // A runtime that is started anew has the consent of the one before.
    const consent = this.#loaded ? this.#consent : this.#resolved.sources.consent;
    const { loaded, consent: now } = await backend.load({ ...this.#resolved.sources, consent });
    this.#loaded = loaded;
    this.#consent = now;
    return backend;
  }

  #stop(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#backend = undefined;
  }
}

/** A promise that is rejected after a time. */
function within<T>(promise: Promise<T>, milliseconds: number, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new TradewindError("timeout", `${what} took longer than ${milliseconds} ms`));
    const timer = setTimeout(late, milliseconds);
    promise.then(resolve, (error: unknown) => reject(TradewindError.of(error, "module"))).finally(() => clearTimeout(timer));
  });
}

import type { Answered, Backend, Heard, Received } from "./backend.js";
import { EdgeProfile } from "./edge.js";
import { TradewindError } from "./error.js";
import { within } from "./files.js";
import type { Question } from "./messages.js";
import { checkConsent, type LoadOptions, patience, type Resolved, resolved } from "./options.js";
import { products, type Texts } from "./products.js";
import { type Remote, remote } from "./remote.js";
import type {
  Consent,
  HandedProduct,
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

/** Access to the other files of this build of the package. */
export interface Place {
  worker(): Worker;
  runtime(): Promise<{ Runtime: new (heard: Heard) => Backend }>;
  /** Words of languages other than English. */
  words: Record<string, () => Promise<{ default: Words[string] }>>;
  /** Called with each loaded instance; returns a function that stops filling the page's elements. */
  attach(tradewind: Tradewind): () => void;
}

/** Events of `on`. */
export interface Events {
  /** Products of a slot came into view: reported once per slot and page view. */
  exposure: { slot: string; by: "edge" | "device"; skus: string[] };
  /** A ranking or a quote was computed. */
  decision: { kind: "rank" | "quote"; took: number };
  /** The profile changed, or was erased, here or in another tab. */
  profile: { erased: boolean };
  /** Consent changed, here or in another tab. */
  consent: { consent: Consent };
  /** A failure; the page's own content stays. Without a listener it goes to the console. */
  error: TradewindError;
}

/** Messages between instances, in this tab and others. */
type Told = { consent: Consent } | { profile: Events["profile"] };

/** State of consent. */
export interface ConsentState {
  consent: Consent;
  /** Whether the browser sends Global Privacy Control; nothing is stored then. */
  gpc: boolean;
}

/** Tradewind in a page. */
export class Tradewind {
  readonly #place: Place;
  readonly #options: LoadOptions;
  readonly #resolved: Resolved;
  readonly #listeners = new Map<keyof Events, Set<(detail: never) => void>>();
  readonly #edge: EdgeProfile | undefined;
  /** Instances of this origin. */
  readonly #others = new BroadcastChannel("tradewind");
  #backend: Promise<Backend> | undefined;
  #remote: Remote | undefined;
  #loaded: Loaded | undefined;
  #consent: Consent = "denied";
  #handover: Handover | null | undefined;
  #texts: Promise<Texts> | undefined;
  /** Runtime that knows the products that slots may show. */
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
   * If anything fails, the page's own content stays; the promise is rejected with a {@link TradewindError}.
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

  /** Fetches the words of the page's language; without them, reasons are in English. */
  async #learn(): Promise<void> {
    const language = this.locale.split("-")[0] ?? "";
    const texts = await this.#place.words[language]?.().catch(() => null);
    if (texts) learn(language, texts.default);
  }

  /** Loaded files: names, digests and timings. */
  get loaded(): Loaded {
    if (!this.#loaded) throw new TradewindError("closed", "nothing is loaded");
    return this.#loaded;
  }

  /** State of consent. */
  get consent(): ConsentState {
    return { consent: this.#consent, gpc: this.#resolved.sources.gpc };
  }

  /** Language of prices and dates. */
  get locale(): string {
    return this.#resolved.locale;
  }

  /** Region of the shopper, if the page knows it. */
  get region(): string | undefined {
    return this.#resolved.region;
  }

  /**
   * Sets the shopper's consent. `granted` is stored on this device; `denied` erases the profile and leaves
   * no data there.
   */
  async setConsent(consent: Consent): Promise<ConsentState> {
    checkConsent(consent);
    if (consent === "denied") this.#edge?.forget();
    let failure: unknown;
    try {
      this.#consent = await this.#call((backend) => backend.setConsent(consent));
    } catch (error) {
      if (consent === "granted") throw error;
      // Consent is withdrawn even if the runtime fails.
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
   * Stores one or more events of the shopper, current or past. Returns `false` without consent; the events are then
   * dropped.
   */
  async track(events: ShopperEvent | ShopperEvent[]): Promise<boolean> {
    const all = [events].flat();
    const taken = await this.#call((backend) => backend.track(all, about(all, this.handover?.products ?? [])));
    if (!taken) {
      // It was withdrawn in another tab.
      if (this.#consent === "granted") await this.#hear({ consent: "denied" });
      return false;
    }
    if (this.#consent === "granted") this.#edge?.track(taken);
    // Impressions and searches do not change the profile, so a page may track its exposures.
    if (taken.some((event) => !("impression" in event || "search" in event))) this.#changed({ erased: false });
    return true;
  }

  /** Ranks products, for the profile on this device if one exists. */
  async rank(request: RankRequest): Promise<Ranking>;
  /** Ranks with a receipt, which contains the profile: it belongs to the shopper and must not be sent. */
  async rank(request: RankRequest, options: { receipt: true }): Promise<Ranking & { receipt: Receipt }>;
  async rank(request: RankRequest, { receipt = false } = {}): Promise<Received<Ranking>> {
    const ranking = await this.#call((backend) => backend.rank({ region: this.region, ...request }, receipt));
    this.#emit("decision", { kind: "rank", took: ranking.took });
    return ranking;
  }

  /**
   * Prices a product: computed in this page if the public snapshot contains the inputs, otherwise the price from the
   * edge. The request has no field for personal data.
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

  /** The edge's price, for its region and until it expires. */
  #handedQuote(sku: string, region: string): Quote | null {
    const handed = this.handover?.region === region && this.handover.quotes.find((quote) => quote.sku === sku)?.quote;
    if (!handed) return null;
    return Date.parse(handed.valid_until) > this.now ? { ...handed, by: "edge" } : null;
  }

  /** Public data of products, in the order of their SKUs; `null` for products missing in the snapshot. */
  async products(skus: string[], region = this.region): Promise<(ListedProduct | null)[]> {
    return this.#call((backend) => backend.products(skus, region));
  }

  /** Profile on this device. */
  readonly profile = {
    /** Exports all stored data; `null` if none exist. */
    export: (): Promise<ProfileExport | null> => this.#call((backend) => backend.exportProfile()),
    /** Erases it. */
    erase: async (): Promise<void> => {
      await this.#call((backend) => backend.eraseProfile());
      if (this.#consent === "granted") await this.#edge?.consent("denied");
      this.#changed({ erased: true });
    },
  };

  /** Subscribes a listener; returns a function that unsubscribes it. */
  on<K extends keyof Events>(event: K, listener: (detail: Events[K]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener as (detail: never) => void));
    return () => listeners.delete(listener as (detail: never) => void);
  }

  /** Data that the edge added to the page; `null` without them. */
  get handover(): Handover | null {
    if (this.#handover === undefined) {
      const script = document.getElementById("tradewind-handover")?.textContent;
      try {
        this.#handover = script ? (JSON.parse(script) as Handover) : null;
      } catch {
        this.#handover = null;
        this.#emit("error", new TradewindError("config", "`#tradewind-handover` is not valid JSON"));
      }
    }
    return this.#handover;
  }

  /** Whether this page's module reproduces the edge's reply for a slot, byte for byte. */
  async replay(slot: string): Promise<boolean> {
    const handed = this.handover?.slots.find((handed) => handed.slot === slot);
    if (!handed) throw new TradewindError("input", `the edge sent no ranking for the slot \`${slot}\``);
    return this.#call((backend) => backend.replay(handed.request, handed.reply));
  }

  /** Stops: the page's content stays. Another loaded instance takes over the page's elements. */
  close(): void {
    this.#closed = true;
    this.#others.close();
    this.#detach();
    this.#stop(new TradewindError("closed", "Tradewind was closed on this page"));
  }

  /** @internal Time of decisions. */
  get now(): number {
    return this.#resolved.sources.at ?? Date.now();
  }

  /** @internal The edge's ranking for a slot. */
  async handed(slot: string): Promise<Ranking | null> {
    const handed = this.handover?.slots?.find((handed) => handed.slot === slot);
    return handed ? this.#call((backend) => backend.readRanking(handed.reply)) : null;
  }

  /** @internal Products that slots may show. A failed fetch is repeated for the next call. */
  get texts(): Promise<Texts> {
    this.#texts ??= this.#fetchTexts().catch((error: unknown) => {
      this.#texts = undefined;
      throw error;
    });
    return this.#texts;
  }

  /** @internal Texts of products, also of those outside the slice. */
  async textsOf(skus: string[]): Promise<Texts> {
    const texts = await this.texts;
    const others = skus.filter((sku) => !texts[sku]);
    return others.length ? { ...texts, ...(await this.#call((backend) => backend.texts(others))) } : texts;
  }

  async #fetchTexts(): Promise<Texts> {
    const file = this.#resolved.products;
    if (!file) throw new TradewindError("config", "`products` is missing, which slots need");
    return within(patience(this.#options), `\`${file.url}\``, (alive) =>
      products(file, alive, (error) => this.#emit("error", error)),
    );
  }

  /** @internal Ranks for a slot, among the products that it may show. */
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

  /** @internal Asks an insight model, with the profile on this device. */
  async ask(question: Question): Promise<Answered> {
    return this.#call((backend) => backend.ask(question));
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

  /** Notifies the other instances. */
  #tell(what: Told): void {
    if (!this.#closed) this.#others.postMessage(what);
  }

  #changed(how: Events["profile"]): void {
    this.#tell({ profile: how });
    this.#emit("profile", how);
  }

  /** Handles a change in another tab, or by another instance in this one. */
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

  /** Calls the runtime, within the maximum time of a call. */
  async #call<T>(ask: (backend: Backend) => Promise<T>): Promise<T> {
    const ready = this.#ready();
    const backend = await ready;
    try {
      return await within(this.#options.timeout ?? 2_000, "the call", () => ask(backend));
    } catch (error) {
      // After a hang, the next call gets a new runtime.
      if ((error as TradewindError).code === "timeout" && this.#backend === ready) this.#stop(error as TradewindError);
      throw error;
    }
  }

  /** Returns the runtime, started if necessary. */
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
    // A page that awaits loading adds its listeners only afterwards.
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
    // A restarted runtime keeps the consent, unless another tab has changed it.
    const again = this.#consent === "granted" ? this.#consent : undefined;
    const consent = this.#loaded ? again : this.#resolved.sources.consent;
    const { loaded, consent: now } = await backend.load({ ...this.#resolved.sources, consent });
    this.#loaded = loaded;
    this.#consent = now;
    return backend;
  }

  /** Drops the runtime: pending calls fail. */
  #stop(error: TradewindError): void {
    this.#remote?.stop(error);
    this.#remote = undefined;
    this.#backend = undefined;
  }
}

/** Of the edge's products, those that events are about, and their neighbours. Invalid events are refused later. */
function about(events: ShopperEvent[], handed: HandedProduct[]): HandedProduct[] {
  type Part = { sku?: unknown; lines?: Part[] } | undefined;
  const parts = events.flatMap((event) => Object.values((event ?? {}) as Record<string, Part>));
  const skus = new Set(parts.flatMap((part) => part?.lines ?? [part]).map((part) => part?.sku));
  for (const { row } of handed.filter(({ row }) => skus.has(row.sku))) {
    for (const { sku } of row.neighbours) skus.add(sku);
  }
  return handed.filter(({ row }) => skus.has(row.sku));
}

import type { TradewindError } from "./error.js";
import type {
  Consent,
  ListedProduct,
  Loaded,
  Objective,
  ProfileExport,
  Quote,
  Ranking,
  RankRequest,
  Receipt,
  ShopperEvent,
} from "./types.js";

/** What the runtime is loaded from: addresses are absolute. */
export interface Sources {
  module: { url: string; integrity: string };
  packs: string[];
  snapshot: string | undefined;
  /** Public keys, 64 hexadecimal digits each. */
  keys: string[];
  /** The moment that counts as now; the clock's where absent. */
  at: number | undefined;
  objective: Objective;
  /** What was decided of consent; what is remembered on this device where absent. */
  consent: Consent | undefined;
  /** The browser asks by Global Privacy Control that nothing be kept. */
  gpc: boolean;
}

/** What a runtime tells of by itself. */
export interface Heard {
  /** Something arrived of what is loaded. */
  alive(): void;
  /** Something failed without which it goes on. */
  failed(error: TradewindError): void;
}

/** A ranking or price with what it was made from, where that was asked for. */
export type Received<T> = T & { receipt?: Receipt };

/** What the module replies, and the words of each pack that has some, in JSON. */
export interface Answered {
  reply: Uint8Array;
  words: Record<string, Uint8Array>;
}

/** The runtime, in this page or behind a worker's port: what it is asked, and what it answers. */
export interface Backend {
  load(sources: Sources): Promise<{ loaded: Loaded; consent: Consent }>;
  setConsent(consent: Consent): Promise<Consent>;
  /** Takes over what was decided of consent elsewhere: in another tab, or by another instance in this one. */
  heardConsent(consent: Consent): Promise<Consent>;
  /** Takes events in; they are returned with their moments, or not at all where there is no consent. */
  track(events: ShopperEvent[]): Promise<ShopperEvent[] | undefined>;
  rank(request: RankRequest, receipt: boolean): Promise<Received<Ranking>>;
  /** Takes the products that slots may show; returns how many of them can be ranked. */
  offer(skus: string[]): Promise<number>;
  /** Ranks for a slot: only products that are offered. */
  rankOffered(request: RankRequest): Promise<Ranking>;
  quote(request: { sku: string; region: string; objective: Objective | undefined }, receipt: boolean): Promise<Received<Quote>>;
  /** Asks the module with the profile between what comes before and after it in a request. */
  ask(before: Uint8Array, after: Uint8Array): Promise<Answered>;
  products(skus: string[], region: string | undefined): Promise<(ListedProduct | null)[]>;
  readRanking(reply: string): Promise<Ranking>;
  replay(request: string, reply: string): Promise<boolean>;
  exportProfile(): Promise<ProfileExport | null>;
  eraseProfile(): Promise<void>;
}

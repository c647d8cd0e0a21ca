import type { TradewindError } from "./error.js";
import type { Question } from "./messages.js";
import type {
  Consent,
  HandedProduct,
  ListedProduct,
  Loaded,
  Objective,
  ProductText,
  ProfileExport,
  Quote,
  Ranking,
  RankRequest,
  Receipt,
  ShopperEvent,
} from "./types.js";

/** Files and options of a runtime; addresses are absolute. */
export interface Sources {
  module: { url: string; integrity: string };
  packs: string[];
  snapshot: string | undefined;
  /** Public keys, 64 hexadecimal digits each. */
  keys: string[];
  /** Time of decisions; the current time if absent. */
  at: number | undefined;
  objective: Objective;
  /** Consent; the value stored on this device if absent. */
  consent: Consent | undefined;
  /** Whether the browser sends Global Privacy Control. */
  gpc: boolean;
}

/** Notifications of a runtime. */
export interface Heard {
  /** Loading made progress. */
  alive(): void;
  /** A failure that does not stop the runtime. */
  failed(error: TradewindError): void;
}

/** Ranking or quote, with its receipt if requested. */
export type Received<T> = T & { receipt?: Receipt };

/** Reply of the module, and the words of each pack that has some, in JSON. */
export interface Answered {
  reply: Uint8Array;
  words: Record<string, Uint8Array>;
}

/** Runtime, in this page or in a worker: calls and results. */
export interface Backend {
  load(sources: Sources): Promise<{ loaded: Loaded; consent: Consent }>;
  setConsent(consent: Consent): Promise<Consent>;
  /** Takes over consent set in another tab, or by another instance in this one. */
  heardConsent(consent: Consent): Promise<Consent>;
  /**
   * Stores events, and products that the page knows besides its slice; returns the events with their times, or
   * `undefined` without consent.
   */
  track(events: ShopperEvent[], products: HandedProduct[]): Promise<ShopperEvent[] | undefined>;
  rank(request: RankRequest, receipt: boolean): Promise<Received<Ranking>>;
  /** Sets the products that slots may show; returns how many of them can be ranked. */
  offer(skus: string[]): Promise<number>;
  /** Ranks for a slot, only among offered products. */
  rankOffered(request: RankRequest): Promise<Ranking>;
  quote(request: { sku: string; region: string; objective: Objective | undefined }, receipt: boolean): Promise<Received<Quote>>;
  /** Asks an insight model, with the profile on this device. */
  ask(question: Question): Promise<Answered>;
  products(skus: string[], region: string | undefined): Promise<(ListedProduct | null)[]>;
  /** Texts of stored products. */
  texts(skus: string[]): Promise<Record<string, ProductText>>;
  readRanking(reply: string): Promise<Ranking>;
  replay(request: string, reply: string): Promise<boolean>;
  exportProfile(): Promise<ProfileExport | null>;
  eraseProfile(): Promise<void>;
}

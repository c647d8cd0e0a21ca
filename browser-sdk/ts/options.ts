/** What `Tradewind.load` takes, and the document it may come from. */

import type { Sources } from "./backend.js";
import { type CardValues, card } from "./card.js";
import { TradewindError } from "./error.js";
import { INTEGRITY, json, type Pinned, within } from "./files.js";
import type { Consent, Objective } from "./types.js";

/** What is loaded. Addresses are relative to the page, or to the configuration that names them. */
export interface Configuration {
  /** The module, and its Subresource Integrity: `sha384-…`. */
  module: Pinned;
  /** The packs, for ranking and for prices. */
  packs: string[];
  /** The snapshot's public part: prices and promises. */
  snapshot?: string | undefined;
  /**
   * Titles and addresses of the products that `<tradewind-slot>` may show, `{ [sku]: { title, url, category } }`, and
   * the document's Subresource Integrity: it is held to that as the packs are to their signatures.
   */
  products?: Pinned | undefined;
  /** The public keys of which one must have signed packs and snapshot: 64 hexadecimal digits each. */
  keys: string[];
  /** How a product looks in a slot: HTML in which `{name}` stands for an escaped value. */
  card?: string | undefined;
  /** The language of prices and dates; the page's by default. */
  locale?: string | undefined;
  /** What prices are for; margin by default. */
  objective?: Objective | undefined;
  /** The moment that counts as now, for a snapshot of the past: RFC 3339. */
  at?: string | undefined;
}

/** What a page decides. */
export interface PageOptions {
  /**
   * Whether a profile may be kept on this device. Without it, what `setConsent` was last given on this device counts,
   * and `denied` before that. Global Privacy Control makes it `denied`, whatever is said here.
   */
  consent?: Consent | undefined;
  /**
   * The address that is told of events, too: `/v1/events` of a Worker that keeps profiles at the edge, so that the next
   * page is ranked there. Without it, and without consent, nothing leaves the page.
   */
  events?: string | undefined;
  /** Where the shopper is; `data-tradewind-region` of the page's root element by default. */
  region?: string | undefined;
  /** Where the runtime runs; in a web worker by default. */
  run?: "worker" | "page" | undefined;
  /**
   * Milliseconds that loading may go without progress; 10,000 by default. Each part of a file that arrives counts as
   * progress, so there is no limit on the whole.
   */
  loadTimeout?: number | undefined;
  /** Milliseconds that a call may take; 2,000 by default. */
  timeout?: number | undefined;
}

/** Everything in one object, or the address of a configuration: `{ config: "/tradewind/tradewind.json" }`. */
export type LoadOptions = PageOptions & (Configuration | { config: string });

/** A product's texts. */
export interface ProductText {
  title: string;
  url: string;
  category: string;
}

/** The options as they are used. */
export interface Resolved {
  sources: Sources;
  card: (values: CardValues) => string;
  products: Pinned | undefined;
  locale: string;
  region: string | undefined;
  events: string | undefined;
}

const CARD =
  '<a href="{url}" data-sku="{sku}"><strong>{title}</strong> <span>{price}</span> <small>{delivery} {reason}</small></a>';

/** Milliseconds that loading may go without progress. */
export const patience = ({ loadTimeout = 10_000 }: PageOptions): number => loadTimeout;

/** Checks the options, and completes them. */
export async function resolved(options: LoadOptions): Promise<Resolved> {
  let base = document.baseURI;
  let configuration: Partial<Configuration>;
  if ("config" in options) {
    base = new URL(options.config, base).href;
    configuration = await within(patience(options), "loading", (alive) => json(base, alive));
  } else {
    configuration = options;
  }
  const { module, packs, keys, snapshot, products, objective } = configuration;
  const wrong = (what: string): TradewindError => new TradewindError("config", `the configuration's ${what}`);
  const absolute = (url: string): string => new URL(url, base).href;
  const pinned = (name: string, file: Pinned | undefined): Pinned => {
    if (typeof file?.url === "string" && INTEGRITY.test(file.integrity ?? "")) {
      return { url: absolute(file.url), integrity: file.integrity };
    }
    throw wrong(`\`${name}\` needs \`url\` and \`integrity\`: \`sha384-\` and 64 digits of base64`);
  };
  const pinnedModule = pinned("module", module);
  if (!Array.isArray(packs) || packs.length === 0) throw wrong("`packs` needs the address of a pack");
  if (!Array.isArray(keys) || !keys.length || !keys.every((key) => /^[0-9a-f]{64}$/i.test(key))) {
    throw wrong("`keys` needs public keys of 64 hexadecimal digits");
  }
  const at = configuration.at === undefined ? undefined : Date.parse(configuration.at);
  if (at !== undefined && !Number.isFinite(at)) throw wrong(`\`at\` is \`${configuration.at}\`, which is no moment`);
  const { consent } = options;
  if (consent !== undefined) checkConsent(consent);
  const root = document.documentElement;
  return {
    sources: {
      module: pinnedModule,
      packs: packs.map(absolute),
      snapshot: snapshot === undefined ? undefined : absolute(snapshot),
      keys,
      at,
      objective: objective ?? { margin: 1 },
      consent,
      gpc: (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl === true,
    },
    card: card(configuration.card ?? CARD),
    products: products === undefined ? undefined : pinned("products", products),
    locale: configuration.locale || root.lang || "en",
    region: options.region ?? root.dataset["tradewindRegion"],
    events: options.events === undefined ? undefined : new URL(options.events, document.baseURI).href,
  };
}

export function checkConsent(consent: unknown): void {
  if (consent !== "granted" && consent !== "denied") {
    throw new TradewindError("input", `\`consent\` is \`${consent}\`; it is granted or denied`);
  }
}

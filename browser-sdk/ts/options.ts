/** Options of `Tradewind.load`, and the configuration document. */

import type { Sources } from "./backend.js";
import { type CardValues, card } from "./card.js";
import { TradewindError } from "./error.js";
import { INTEGRITY, json, type Pinned, within } from "./files.js";
import type { Consent, Objective } from "./types.js";

/** Files and settings. Addresses are relative to the page, or to the configuration that contains them. */
export interface Configuration {
  /** Module with its Subresource Integrity: `sha384-…`. */
  module: Pinned;
  /** Packs for ranking and prices. */
  packs: string[];
  /** Public part of the snapshot: prices and promises. */
  snapshot?: string | undefined;
  /**
   * Titles and addresses of the products that `<tradewind-slot>` may show, `{ [sku]: { title, url, category } }`, with
   * the document's Subresource Integrity, which is checked like the packs' signatures.
   */
  products?: Pinned | undefined;
  /** Public keys, 64 hexadecimal digits each; one of them must have signed packs and snapshot. */
  keys: string[];
  /** Template of a product in a slot: HTML in which `{name}` is replaced by an escaped value. */
  card?: string | undefined;
  /** Language of prices and dates (default: the page's). */
  locale?: string | undefined;
  /** Goals of prices (default: margin). */
  objective?: Objective | undefined;
  /** Time of decisions, for a past snapshot: RFC 3339. */
  at?: string | undefined;
}

/** Options set by the page. */
export interface PageOptions {
  /**
   * Whether a profile may be stored on this device (default: the last value of `setConsent` on this device, and
   * `denied` before that). Global Privacy Control overrides it with `denied`.
   */
  consent?: Consent | undefined;
  /**
   * Address that also receives events: `/v1/events` of a Worker that keeps profiles at the edge, so that the next
   * page is ranked there. Without it, and without consent, no data leave the page.
   */
  events?: string | undefined;
  /** Region of the shopper (default: `data-tradewind-region` of the root element). */
  region?: string | undefined;
  /** Where the runtime runs (default: in a web worker). */
  run?: "worker" | "page" | undefined;
  /**
   * Maximum milliseconds of loading without progress (default: 10,000). Each part of a file that arrives counts as
   * progress, so the total time is unlimited.
   */
  loadTimeout?: number | undefined;
  /** Maximum milliseconds of a call (default: 2,000). */
  timeout?: number | undefined;
}

/**
 * All options in one object, or the address of a configuration: `{ config: "/tradewind/tradewind.json" }`. In an address,
 * `{region}` is the shopper's region, or `all` if it is unknown: `{ config: "/tradewind/slices/{region}.json" }`.
 */
export type LoadOptions = PageOptions & (Configuration | { config: string });

/** Completed options. */
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

/** Maximum milliseconds of loading without progress. */
export const patience = ({ loadTimeout = 10_000 }: PageOptions): number => loadTimeout;

/** Checks and completes the options. */
export async function resolved(options: LoadOptions): Promise<Resolved> {
  let base = document.baseURI;
  let configuration: Partial<Configuration>;
  const root = document.documentElement;
  const region = options.region ?? root.dataset["tradewindRegion"];
  if ("config" in options) {
    base = new URL(options.config.replace("{region}", encodeURIComponent(region ?? "all")), base).href;
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
    region,
    events: options.events === undefined ? undefined : new URL(options.events, document.baseURI).href,
  };
}

export function checkConsent(consent: unknown): void {
  if (consent !== "granted" && consent !== "denied") {
    throw new TradewindError("input", `\`consent\` is \`${consent}\`; it is granted or denied`);
  }
}

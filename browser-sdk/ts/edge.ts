/** The shopper's profile at the edge, for a shop that keeps one there: what it is told, and in which order. */

import { TradewindError } from "./error.js";
import type { ShopperEvent } from "./types.js";

/** Events of one message. */
const MOST = 500;

/** Milliseconds that the edge may take for one. */
const LIMIT = 5_000;

/** Tells the edge what a shopper did. One message after the other: each changes the cookie that the next brings along. */
export class EdgeProfile {
  readonly #url: string;
  readonly #failed: (error: TradewindError) => void;
  #waiting: ShopperEvent[] = [];
  #last: Promise<void> = Promise.resolve();
  #sending = new AbortController();

  constructor(url: string, failed: (error: TradewindError) => void) {
    this.#url = url;
    this.#failed = failed;
  }

  /** Takes in events with their moments; several that come while a message is under way go together. */
  track(events: ShopperEvent[]): void {
    this.#waiting.push(...events);
    void this.#after(async () => {
      while (this.#waiting.length) await this.#send({ consent: "granted", events: this.#waiting.splice(0, MOST) });
    });
  }

  /** Sends nothing more of what was tracked. */
  forget(): void {
    this.#waiting = [];
    this.#sending.abort(new TradewindError("closed", "withdrawn"));
  }

  /** Makes a profile, or has it forgotten; resolved once that is so, or failed. */
  consent(consent: "granted" | "denied"): Promise<void> {
    if (consent === "denied") this.forget();
    return this.#after(() => this.#send({ consent, events: [] }));
  }

  #after(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work).catch((error: unknown) => {
      const failure = TradewindError.of(error, "fetch");
      // What was taken back is no failure.
      if (failure.code !== "closed") this.#failed(failure);
    });
    return this.#last;
  }

  async #send(message: { consent: "granted" | "denied"; events: ShopperEvent[] }): Promise<void> {
    const sending = (this.#sending = new AbortController());
    const late = new TradewindError("timeout", `\`${this.#url}\` took longer than ${LIMIT} ms`);
    const timer = setTimeout(() => sending.abort(late), LIMIT);
    const response = await fetch(this.#url, {
      method: "POST",
      signal: sending.signal,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(message),
      // The shopper may be on the way to the next page, which is to be ranked for it.
      keepalive: message.events.length < 50,
    }).finally(() => clearTimeout(timer));
    if (!response.ok) throw new TradewindError("refused", `\`${this.#url}\` answers ${response.status}`);
  }
}

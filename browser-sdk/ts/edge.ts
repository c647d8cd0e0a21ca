/** The shopper's profile at the edge, for shops that keep one there: messages and their order. */

import { TradewindError } from "./error.js";
import type { ShopperEvent } from "./types.js";

/** Maximum events per message. */
const MOST = 500;

/** Maximum milliseconds of a message. */
const LIMIT = 5_000;

/** Sends events to the edge. One message at a time, because each changes the cookie that the next one needs. */
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

  /** Queues events with their times; events during a request are sent together. */
  track(events: ShopperEvent[]): void {
    this.#waiting.push(...events);
    void this.#after(async () => {
      while (this.#waiting.length) await this.#send({ consent: "granted", events: this.#waiting.splice(0, MOST) });
    });
  }

  /** Drops unsent events. */
  forget(): void {
    this.#waiting = [];
    this.#sending.abort(new TradewindError("closed", "withdrawn"));
  }

  /** Creates or deletes the profile; resolves when done. */
  consent(consent: "granted" | "denied"): Promise<void> {
    if (consent === "denied") this.forget();
    return this.#after(() => this.#send({ consent, events: [] }));
  }

  #after(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work).catch((error: unknown) => {
      const failure = TradewindError.of(error, "fetch");
      // Revoked events are not a failure.
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
      // The shopper may be leaving for the next page, which is ranked with these events.
      keepalive: message.events.length < 50,
    }).finally(() => clearTimeout(timer));
    if (!response.ok) throw new TradewindError("refused", `\`${this.#url}\` answers ${response.status}`);
  }
}

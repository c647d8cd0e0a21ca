/** Kind of an error:
 *
 * - `config`: the configuration or an option is invalid
 * - `fetch`: a file could not be fetched, or does not match its integrity
 * - `untrusted`: a pack or the snapshot is damaged, unsigned, or signed by an untrusted key
 * - `module`: the module cannot be used
 * - `trap`: the module trapped; the next call has a new instance
 * - `refused`: the module refused the request
 * - `input`: invalid arguments of a function
 * - `storage`: the browser's storage does not respond, or refuses: the profile is not used
 * - `timeout`: a call took too long
 * - `closed`: the instance was closed
 */
export type ErrorCode =
  | "config"
  | "fetch"
  | "untrusted"
  | "module"
  | "trap"
  | "refused"
  | "input"
  | "storage"
  | "timeout"
  | "closed";

/** Error of Tradewind. */
export class TradewindError extends Error {
  override readonly name = "TradewindError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }

  /** Converts any error to a `TradewindError`. */
  static of(error: unknown, otherwise: ErrorCode): TradewindError {
    if (error instanceof TradewindError) return error;
    const { code, message } = error as { code?: unknown; message?: string };
    return new TradewindError(typeof code === "string" ? (code as ErrorCode) : otherwise, message ?? String(error));
  }
}

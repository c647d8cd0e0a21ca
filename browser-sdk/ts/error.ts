/** What went wrong:
 *
 * - `config`: the configuration or an option is not as it must be
 * - `fetch`: a file could not be fetched, or is not what its integrity says
 * - `untrusted`: a pack or the snapshot is damaged, unsigned, or signed by somebody else
 * - `module`: the module cannot be used
 * - `trap`: the module trapped; the next call has a new instance
 * - `refused`: the module refused the request
 * - `input`: a function was given what it does not take
 * - `storage`: the browser's storage does not answer, or refuses: the profile is not used
 * - `timeout`: it took too long
 * - `closed`: it was closed
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

/** An error of Tradewind's. */
export class TradewindError extends Error {
  override readonly name = "TradewindError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }

  /** Any error as one of these. */
  static of(error: unknown, otherwise: ErrorCode): TradewindError {
    if (error instanceof TradewindError) return error;
    const { code, message } = error as { code?: unknown; message?: string };
    return new TradewindError(typeof code === "string" ? (code as ErrorCode) : otherwise, message ?? String(error));
  }
}

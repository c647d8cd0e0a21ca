/** Postcard, the encoding of the module's messages: https://postcard.jamesmunns.com/wire-format.html */

const utf8 = new TextEncoder();
const text = new TextDecoder();

type Write<T> = (to: Writer, value: T) => unknown;
type Read<T> = (from: Reader) => T;

/** Writes values one after another. Integers are exact up to 2⁵³. */
export class Writer {
  #bytes: number[] = [];

  get bytes(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(this.#bytes);
  }

  raw(bytes: Iterable<number>): this {
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }

  /** Writes a non-negative integer, or the number of an enum's variant. */
  unsigned(value: number): this {
    for (; value >= 128; value = Math.floor(value / 128)) this.#bytes.push((value % 128) + 128);
    this.#bytes.push(value);
    return this;
  }

  signed(value: number): this {
    return this.unsigned(value < 0 ? -2 * value - 1 : 2 * value);
  }

  float(value: number): this {
    return this.raw(new Uint8Array(Float32Array.of(value).buffer));
  }

  text(value: string): this {
    const bytes = utf8.encode(value);
    return this.unsigned(bytes.length).raw(bytes);
  }

  message<T>(value: T, write: Write<T>): this {
    write(this, value);
    return this;
  }

  list<T>(values: readonly T[], write: Write<T>): this {
    this.unsigned(values.length);
    for (const value of values) write(this, value);
    return this;
  }

  /** Writes an optional value. */
  optional<T>(value: T | undefined, write: Write<T>): this {
    this.unsigned(value === undefined ? 0 : 1);
    if (value !== undefined) write(this, value);
    return this;
  }
}

/** Reads values one after another; reading past the end is an error. */
export class Reader {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.at === this.#bytes.length;
  }

  raw(length: number): Uint8Array {
    const end = this.at + length;
    if (end > this.#bytes.length) throw new RangeError("a message ends too soon");
    const bytes = this.#bytes.subarray(this.at, end);
    this.at = end;
    return bytes;
  }

  /** Returns a copy of the remaining bytes. */
  rest(): Uint8Array {
    return this.raw(this.#bytes.length - this.at).slice();
  }

  byte(): number {
    return this.raw(1)[0] as number;
  }

  unsigned(): number {
    let [value, unit, byte] = [0, 1, 0];
    do {
      byte = this.byte();
      value += (byte % 128) * unit;
      unit *= 128;
    } while (byte >= 128);
    return value;
  }

  signed(): number {
    const value = this.unsigned();
    return value % 2 ? -(value + 1) / 2 : value / 2;
  }

  float(): number {
    const bytes = this.raw(4);
    return new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);
  }

  text(): string {
    return text.decode(this.raw(this.unsigned()));
  }

  flag(): boolean {
    return this.byte() === 1;
  }

  list<T>(read: Read<T>, length = this.unsigned()): T[] {
    return Array.from({ length }, () => read(this));
  }

  optional<T>(read: Read<T>): T | null {
    return this.flag() ? read(this) : null;
  }

  /** Reads an enum, from the names of its plain variants and the functions that read the others. */
  variant<T>(...variants: (T | (() => T))[]): T {
    const variant = variants[this.unsigned()];
    if (variant === undefined) throw new RangeError("unknown variant in a message");
    return typeof variant === "function" ? (variant as () => T)() : (variant as T);
  }
}

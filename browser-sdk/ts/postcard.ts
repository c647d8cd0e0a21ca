/** Postcard, the encoding of the module's messages: https://postcard.jamesmunns.com/wire-format.html */

const utf8 = new TextEncoder();
const text = new TextDecoder();

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

  text(value: string): this {
    const bytes = utf8.encode(value);
    return this.unsigned(bytes.length).raw(bytes);
  }

  list<T>(values: readonly T[], write: (value: T) => unknown): this {
    this.unsigned(values.length);
    values.forEach(write);
    return this;
  }

  /** Writes an optional value. */
  optional<T>(value: T | undefined, write: (value: T) => unknown): this {
    this.unsigned(value === undefined ? 0 : 1);
    if (value !== undefined) write(value);
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

  /** Returns the remaining bytes. */
  rest(): Uint8Array {
    return this.raw(this.#bytes.length - this.at);
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

  list<T>(read: () => T): T[] {
    return Array.from({ length: this.unsigned() }, read);
  }

  optional<T>(read: () => T): T | null {
    return this.byte() ? read() : null;
  }
}

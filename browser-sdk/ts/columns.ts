/** Columns: arrays in a section of a pack or snapshot, read in place: `tradewind_core::columns`. */

const utf8 = new TextEncoder();

/** The columns of a section, one after another. */
export class Columns {
  readonly #buffer: ArrayBuffer;
  /** The place of the next column's length, in numbers of four bytes. */
  #place = 1;
  #end: number;

  /** The section has a buffer of its own, so that its columns are aligned. */
  constructor({ buffer }: Uint8Array) {
    this.#buffer = buffer as ArrayBuffer;
    this.#end = 4 + 4 * this.#number(0);
  }

  #number(place: number): number {
    return new Uint32Array(this.#buffer, 4 * place, 1)[0] ?? 0;
  }

  next(): Uint8Array<ArrayBuffer> {
    const start = Math.ceil(this.#end / 16) * 16;
    const length = this.#number(this.#place++);
    this.#end = start + length;
    return new Uint8Array(this.#buffer, start, length);
  }

  /** Signed numbers of 64 bits. */
  numbers(): BigInt64Array {
    const { byteOffset, length } = this.next();
    return new BigInt64Array(this.#buffer, byteOffset, length / 8);
  }

  /** The end of each of the lists whose lengths come next. */
  ends(): Uint32Array {
    const { byteOffset, length } = this.next();
    let end = 0;
    return Uint32Array.from(new Uint16Array(this.#buffer, byteOffset, length / 2), (length) => (end += length));
  }
}

/** The SKUs of a catalogue, in ascending order. */
export class Skus {
  readonly #ends: Uint32Array;
  readonly #bytes: Uint8Array;

  constructor(columns: Columns) {
    this.#ends = columns.ends();
    this.#bytes = columns.next();
  }

  get length(): number {
    return this.#ends.length;
  }

  /** Compares the SKU at a place. */
  #order(place: number, wanted: Uint8Array): number {
    const sku = this.#bytes.subarray(this.#ends[place - 1] ?? 0, this.#ends[place]);
    let n = 0;
    while (n < sku.length && sku[n] === wanted[n]) n += 1;
    return (sku[n] ?? -1) - (wanted[n] ?? -1);
  }

  /** Where a product is in the catalogue; `undefined` where it is not. */
  place(sku: string): number | undefined {
    const wanted = utf8.encode(sku);
    let [from, to] = [0, this.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#order(middle, wanted) < 0) from = middle + 1;
      else to = middle;
    }
    return from < this.length && this.#order(from, wanted) === 0 ? from : undefined;
  }
}

/** Columns: arrays that lie in a section of a pack or snapshot, read where they lie: `tradewind_core::columns`. */

const utf8 = new TextEncoder();

/** The columns of a section, one after another. */
export class Columns {
  readonly #section: Uint8Array;
  readonly #lengths: Uint32Array;
  #read = 0;
  #end: number;

  constructor(section: Uint8Array) {
    // Copied where it lies so that numbers cannot be read there.
    this.#section = section.byteOffset % 16 ? section.slice() : section;
    const { buffer, byteOffset } = this.#section;
    this.#lengths = new Uint32Array(buffer, byteOffset + 4, new Uint32Array(buffer, byteOffset, 1)[0]);
    this.#end = 4 + 4 * this.#lengths.length;
  }

  next(): Uint8Array {
    const start = Math.ceil(this.#end / 16) * 16;
    this.#end = start + (this.#lengths[this.#read++] ?? 0);
    return this.#section.subarray(start, this.#end);
  }

  /** Signed numbers of 64 bits, in pairs or alone. */
  numbers(): BigInt64Array {
    const { buffer, byteOffset, length } = this.next();
    return new BigInt64Array(buffer, byteOffset, length / 8);
  }

  /** The start of each of the lists whose lengths come next, and the end of the last. */
  starts(): Uint32Array {
    const { buffer, byteOffset, length } = this.next();
    const starts = new Uint32Array(length / 2 + 1);
    new Uint16Array(buffer, byteOffset, length / 2).forEach((length, n) => {
      starts[n + 1] = (starts[n] ?? 0) + length;
    });
    return starts;
  }
}

/** The SKUs of a catalogue, in ascending order. */
export class Skus {
  readonly #starts: Uint32Array;
  readonly #bytes: Uint8Array;

  constructor(columns: Columns) {
    this.#starts = columns.starts();
    this.#bytes = columns.next();
  }

  get length(): number {
    return this.#starts.length - 1;
  }

  #get(place: number): Uint8Array {
    return this.#bytes.subarray(this.#starts[place], this.#starts[place + 1]);
  }

  /** Where a product is in the catalogue; `undefined` where it is not. */
  place(sku: string): number | undefined {
    const wanted = utf8.encode(sku);
    let [from, to] = [0, this.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      const order = compare(this.#get(middle), wanted);
      if (order === 0) return middle;
      if (order < 0) from = middle + 1;
      else to = middle;
    }
    return undefined;
  }
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const differs = a.findIndex((byte, n) => byte !== b[n]);
  return differs < 0 ? a.length - b.length : (a[differs] ?? 0) - (b[differs] ?? -1);
}

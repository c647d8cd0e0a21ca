// Minimal shell for tradewind.wasm: `core/ABI.md` describes the exports; requests and replies are postcard.
export async function start(wasm) {
  const guest = await instantiate(wasm);
  return {
    open(pack, given, snapshot) {
      guest.load(pack);
      if (snapshot) guest.load(snapshot);
      return "byteLength" in given ? guest.caller(given) : guest.model(given);
    },
  };
}

const TYPES = [Float32Array, BigInt64Array, Int32Array, Uint8Array, Uint8Array];
const text = new TextDecoder();
const utf8 = new TextEncoder();

// Takes the module's bytes, or a compiled module.
export async function instantiate(wasm) {
  const module = wasm instanceof WebAssembly.Module ? wasm : await WebAssembly.compile(wasm);
  const { memory, alloc, dealloc, load, call, score } = (await WebAssembly.instantiate(module, {})).exports;
  let memoryBytes = new Uint8Array(0);
  const bytes = () => (memoryBytes.buffer === memory.buffer ? memoryBytes : (memoryBytes = new Uint8Array(memory.buffer)));

  function give(length) {
    const pointer = alloc(length) >>> 0;
    if (pointer === 0) throw new Error(`no memory for ${length} bytes`);
    return pointer;
  }

  // Reads a reply in place, and frees its buffer.
  function reply(returned, read) {
    const pointer = returned >>> 0;
    const memory = bytes();
    const length = new DataView(memory.buffer).getUint32(pointer, true);
    const reader = new Reader(memory, pointer + 4);
    const number = reader.number();
    if (number === 0) {
      const code = reader.number();
      throw new Error(`${text.decode(reader.bytes())} (fault ${code})`);
    }
    const value = read(reader);
    dealloc(pointer, length + 4);
    return value;
  }

  return {
    // Returns the handle that `score` takes.
    load(pack) {
      const pointer = give(pack.length);
      bytes().set(pack, pointer);
      return reply(load(pointer, pack.length), (reader) => {
        reader.number(); // a pack
        return reader.number();
      });
    },

    // Sends an encoded request; does not decode the reply.
    caller(request) {
      const pointer = give(request.length);
      return () => {
        bytes().set(request, pointer);
        reply(call(pointer, request.length), () => undefined);
        return [];
      };
    },

    // Sends an infer request, encoded into a reused buffer.
    model(inputs) {
      const pack = utf8.encode("case");
      const tensors = inputs.map((input) => ({ ...input, name: utf8.encode(input.name) }));
      const room = inputs.reduce((sum, { values }) => sum + values.byteLength + 256, 256);
      const pointer = give(room);
      return () => {
        const writer = new Writer(bytes(), pointer);
        writer.number(2); // infer
        writer.bytes(pack);
        writer.number(tensors.length);
        for (const { name, type, shape, values } of tensors) {
          writer.bytes(name);
          writer.number(shape.length);
          for (const extent of shape) writer.number(extent);
          writer.number(type === "i64" ? 1 : 0);
          writer.bytes(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
        }
        return reply(call(pointer, writer.at - pointer), (reader) => reader.list(() => reader.tensor()));
      };
    },

    // Scores column-major features through reused buffers.
    scorer(handle, rows, columns) {
      const input = give(columns.byteLength);
      const output = give(4 * rows);
      return () => {
        new Float32Array(memory.buffer, input, columns.length).set(columns);
        reply(score(handle, input, columns.byteLength, rows, output, 4 * rows), () => undefined);
        return [new Float32Array(memory.buffer, output, rows).slice()];
      };
    },
  };
}

class Writer {
  constructor(memory, at) {
    this.memory = memory;
    this.at = at;
  }
  number(value) {
    for (; value > 127; value = Math.floor(value / 128)) this.memory[this.at++] = (value % 128) + 128;
    this.memory[this.at++] = value;
  }
  bytes(bytes) {
    this.number(bytes.length);
    this.memory.set(bytes, this.at);
    this.at += bytes.length;
  }
}

class Reader {
  constructor(memory, at) {
    this.memory = memory;
    this.at = at;
  }
  number() {
    let [value, unit, byte] = [0, 1, 128];
    for (; byte > 127; unit *= 128) {
      byte = this.memory[this.at++];
      value += (byte % 128) * unit;
    }
    return value;
  }
  bytes() {
    const length = this.number();
    this.at += length;
    return this.memory.slice(this.at - length, this.at);
  }
  list(read) {
    return Array.from({ length: this.number() }, read);
  }
  // Elements only: the caller knows names and shapes.
  tensor() {
    const name = this.number();
    this.at += name;
    for (let rank = this.number(); rank > 0; rank--) this.number();
    const Type = TYPES[this.number()];
    if (!Type) throw new Error("text is not measured");
    return new Type(this.bytes().buffer);
  }
}

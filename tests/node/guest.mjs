// The module in V8, driven over standard input and output:
//   question  [operation: u8][length: u32 LE][bytes]
//   answer    [length: u32 LE][bytes]
// Operations: 0 load a pack, 1 answer a request, 2 score columns.
import { readFileSync, readSync, writeSync } from "node:fs";

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), {});
const { memory, alloc, dealloc, load, call, score } = instance.exports;

const bytesAt = (pointer, length) => new Uint8Array(memory.buffer, pointer >>> 0, length);

function give(bytes) {
  const pointer = alloc(bytes.length);
  if (pointer === 0) throw new Error(`no memory for ${bytes.length} bytes`);
  bytesAt(pointer, bytes.length).set(bytes);
  return pointer;
}

function take(pointer) {
  if (pointer === 0) throw new Error("no memory for a reply");
  const length = new DataView(memory.buffer).getUint32(pointer >>> 0, true);
  const reply = bytesAt((pointer >>> 0) + 4, length).slice();
  dealloc(pointer, length + 4);
  return reply;
}

const operations = [
  (pack) => take(load(give(pack), pack.length)),
  (request) => {
    const pointer = give(request);
    const reply = take(call(pointer, request.length));
    dealloc(pointer, request.length);
    return reply;
  },
  (question) => {
    const [pack, rows, count] = new Uint32Array(question.slice(0, 12).buffer);
    const columns = question.subarray(12);
    const input = give(columns);
    const output = give(new Uint8Array(4 * count));
    const reply = take(score(pack, input, columns.length, rows, output, 4 * count));
    const answer = Buffer.concat([bytesAt(output, 4 * count), reply]);
    dealloc(input, columns.length);
    dealloc(output, 4 * count);
    return answer;
  },
];

function read(length) {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const count = readSync(0, bytes, at, length - at);
    if (count === 0) process.exit(0);
    at += count;
  }
  return bytes;
}

function write(bytes) {
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}

for (;;) {
  const head = read(5);
  const answer = operations[head[0]](read(new DataView(head.buffer).getUint32(1, true)));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, answer.length, true);
  write(length);
  write(answer);
}

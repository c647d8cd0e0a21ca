// The module in V8: what each operation of `pipe.mjs` does to an instance. Bytes in, bytes out.

/** Operations on an instance: 0 load a pack, 1 answer a request, 2 score columns. */
export function operations(instance) {
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

  return [
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
      const answer = new Uint8Array(4 * count + reply.length);
      answer.set(bytesAt(output, 4 * count));
      answer.set(reply, 4 * count);
      dealloc(input, columns.length);
      dealloc(output, 4 * count);
      return answer;
    },
  ];
}

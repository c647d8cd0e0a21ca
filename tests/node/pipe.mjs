// Questions over standard input, answers over standard output:
//   question  [operation: u8][length: u32 LE][bytes]
//   answer    [length: u32 LE][bytes]

const chunks = process.stdin[Symbol.asyncIterator]();
let ahead = Buffer.alloc(0);

/** The next bytes of the input; none when it has ended. */
async function read(length) {
  const parts = [ahead];
  for (let have = ahead.length; have < length; ) {
    const { done, value } = await chunks.next();
    if (done) return undefined;
    parts.push(value);
    have += value.length;
  }
  const bytes = Buffer.concat(parts);
  ahead = bytes.subarray(length);
  return new Uint8Array(bytes.subarray(0, length));
}

const write = (bytes) =>
  new Promise((done, failed) => process.stdout.write(bytes, (error) => (error ? failed(error) : done())));

/** Answers each question by the operation of its number, until the input ends. */
export async function serve(operations) {
  for (let head = await read(5); head !== undefined; head = await read(5)) {
    const answer = await operations[head[0]](await read(new DataView(head.buffer).getUint32(1, true)));
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, answer.length, true);
    await write(length);
    await write(answer);
  }
}

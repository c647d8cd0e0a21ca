// Total size of files: [raw, gzip, brotli] bytes, each file compressed separately, as by a server.
import { readFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const sum = [0, 0, 0];
for (const file of process.argv.slice(2)) {
  const bytes = readFileSync(file);
  sum[0] += bytes.length;
  sum[1] += gzipSync(bytes, { level: 9 }).length;
  sum[2] += brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }).length;
}
console.log(JSON.stringify(sum));

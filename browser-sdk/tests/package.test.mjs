// The packed package, as somebody who installs it has it: with Vite, with a plain page, with a server, with a compiler.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { startShop } from "../storefront/server.mjs";
import { dist, open, startChromium } from "./chromium.mjs";

/** The most bytes after brotli of scripts and shim together: the package's promise. */
const BUDGET = 36_500;

let folder;
let installed;
let chromium;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tradewind-package-"));
  writeFileSync(join(folder, "package.json"), '{ "name": "somebody", "private": true, "type": "module" }');
  const [tarball] = readdirSync(dist("npm"));
  const options = ["install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  execFileSync("npm", [...options, join(dist("npm"), tarball)], { cwd: folder });
  installed = join(folder, "node_modules/tradewind");
  chromium = await startChromium();
});
after(async () => {
  await chromium?.close();
  rmSync(folder, { recursive: true });
});

const sha256 = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");

test("the module is the same in package and site", () => {
  const module = sha256(dist("tradewind.wasm"));
  assert.equal(sha256(join(installed, "dist/tradewind.wasm")), module);
  assert.equal(sha256(dist("site/tradewind/tradewind.wasm")), module);
});

test("the package has no dependencies, and stays within its budget", () => {
  assert.deepEqual(readdirSync(join(folder, "node_modules")).filter((name) => !name.startsWith(".")), ["tradewind"]);
  const brotli = (file) =>
    brotliCompressSync(readFileSync(join(installed, "dist", file)), { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;
  const shipped = ["index.js", "worker.js", "runtime.js", "tradewind_browser_bg.wasm"];
  const sizes = shipped.map((file) => [file, brotli(file)]);
  const sum = sizes.reduce((sum, [, bytes]) => sum + bytes, 0);
  console.log(sizes.map(([file, bytes]) => `${file} ${bytes}`).join(", "), `in all ${sum} bytes after brotli`);
  assert.ok(sum <= BUDGET, `${sum} bytes after brotli; at most ${BUDGET} are allowed`);
  // The script takes the place of index.js.
  assert.ok(brotli("tradewind.iife.js") - brotli("index.js") + sum <= BUDGET);
});

test("it can be imported on a server, and `load` fails there with an error", async () => {
  const program = `
    import { Tradewind, money, sentence, delivery } from "tradewind";
    const error = await Tradewind.load({ config: "/tradewind/tradewind.json" }).catch((error) => error);
    console.log(error.name, error.code, money(199, "USD", "en-US"), sentence({ held: "floor" }, "en-US"),
      delivery({ from: "2017-12-06", to: "2017-12-08" }, "en-US").replace(/\\s/g, " "));`;
  const said = execFileSync("node", ["--input-type=module", "--eval", program], { cwd: folder, encoding: "utf8" });
  assert.equal(said.trim(), "TradewindError config $1.99 it cannot go lower Dec 6 – 8");
});

test("its types pass the strictest compiler options", () => {
  const tsc = dist("tools/browser/node_modules/typescript/bin/tsc");
  const source = `
    import { Tradewind, type Quote, type Ranking, sentence, TradewindError } from "tradewind";
    const tradewind: Tradewind = await Tradewind.load({
      module: { url: "/tradewind.wasm", integrity: "sha384-x" }, packs: ["/a.pack"], keys: ["00"], consent: "denied",
    });
    const ranking: Ranking = await tradewind.rank({ limit: 8, exclude: ["1"] });
    const { receipt } = await tradewind.rank({ limit: 8 }, { receipt: true });
    const reasons: string[] = ranking.items.flatMap((item) => item.reasons.map((reason) => sentence(reason, "de")));
    const quote: Quote = await tradewind.quote({ sku: "1" });
    const taken: boolean = await tradewind.track({ purchase: { lines: [{ sku: "1", quantity: 2 }] } });
    const end: () => void = tradewind.on("exposure", ({ slot, skus }) => console.log(slot, skus.length));
    tradewind.on("error", (error: TradewindError) => console.log(error.code === "timeout"));
    // @ts-expect-error a kind of event that there is not
    await tradewind.track({ look: { sku: "1" } });
    // @ts-expect-error a field that could carry a person
    await tradewind.quote({ sku: "1", customer: "Jane" });
    // @ts-expect-error no integrity
    await Tradewind.load({ module: { url: "/tradewind.wasm" }, packs: [], keys: [] });
    console.log(receipt.request_digest, reasons, quote.reasons, taken, end, tradewind.loaded.module.digest);`;
  writeFileSync(join(folder, "typed.ts"), source);
  for (const resolution of [["--module", "nodenext"], ["--module", "esnext", "--moduleResolution", "bundler"]]) {
    const options = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--noEmit", "--target", "es2022"];
    const lib = ["--lib", "es2023,dom,dom.iterable", "--types", "", "--skipLibCheck", "false"];
    try {
      execFileSync("node", [tsc, ...options, ...lib, ...resolution, "typed.ts"], { cwd: folder, encoding: "utf8" });
    } catch (error) {
      assert.fail(error.stdout);
    }
  }
});

/** A page that ranks, and writes what it has. */
const RANKS = `
  const shop = await Tradewind.load({ region: "SEA", ...options });
  const { items } = await shop.rank({ limit: 5 });
  document.body.dataset.ranked = items.map(({ sku }) => sku).join(" ");
  document.body.dataset.module = shop.loaded.module.digest;
  document.documentElement.dataset.tradewind = "ready";`;

/** What the page has ranked. */
async function ranked(page, url) {
  await open(page, url);
  assert.deepEqual(page.faults, []);
  assert.equal(await page.getAttribute("body", "data-module"), sha256(dist("tradewind.wasm")));
  const skus = (await page.getAttribute("body", "data-ranked")).split(" ");
  assert.equal(skus.length, 5);
  return skus;
}

test("a plain page and a page built by Vite rank identically, with the strictest policy", async () => {
  const plain = {
    "/plain.html": '<!doctype html><html lang="en"><link rel="icon" href="/icon.svg"><title>Plain</title><body><script src="/tradewind/sdk/tradewind.iife.js"></script><script src="/plain.js"></script></body></html>',
    "/plain.js": `(async () => {
      const { Tradewind } = tradewind;
      const options = { config: "/tradewind/tradewind.json" };
      ${RANKS}
    })();`,
  };

  const project = join(folder, "vite");
  mkdirSync(project);
  writeFileSync(join(project, "index.html"), '<!doctype html><html lang="en"><link rel="icon" href="/icon.svg"><title>Vite</title><body><script type="module" src="/main.ts"></script></body></html>');
  const main = `
    import { Tradewind } from "tradewind";
    import module from "tradewind/tradewind.wasm?url";
    const config = await (await fetch("/tradewind/tradewind.json")).json();
    const run = location.hash === "#page" ? "page" : "worker";
    const options = { ...config, module: { ...config.module, url: module }, run } as const;
    ${RANKS}`;
  writeFileSync(join(project, "main.ts"), main);
  const { build } = await import(pathToFileURL(createRequire(dist("tools/browser/")).resolve("vite")));
  const built = join(project, "dist");
  const target = "es2022";
  await build({ root: project, configFile: false, logLevel: "warn", build: { outDir: built, target, assetsInlineLimit: 0 } });
  const files = { ...plain };
  for (const name of readdirSync(join(built, "assets"))) files[`/assets/${name}`] = readFileSync(join(built, "assets", name));
  files["/vite.html"] = readFileSync(join(built, "index.html"));

  const shop = await startShop({ files });
  const results = [];
  for (const path of ["/plain.html", "/vite.html", "/vite.html#page"]) {
    const page = await chromium.page();
    results.push(await ranked(page, shop.url + path));
    await page.done();
  }
  assert.deepEqual(results[1], results[0]);
  assert.deepEqual(results[2], results[0]);
  await shop.close();
});

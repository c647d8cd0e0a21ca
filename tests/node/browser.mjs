// The module in a browser: `node browser.mjs chromium|firefox tradewind.wasm`. A page fetches each question and sends
// the answer with the next fetch, so any browser will do: none is driven.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "./pipe.mjs";
import { browserProgram } from "./program.mjs";

const [browser, module] = process.argv.slice(2);

const PAGE = `<!doctype html><title>Tradewind</title><script type="module">
import { operations } from "/module.mjs";
const send = async (path, body) => new Uint8Array(await (await fetch(path, { method: "POST", body })).arrayBuffer());
try {
  const { instance } = await WebAssembly.instantiateStreaming(fetch("/tradewind.wasm"));
  const answers = operations(instance);
  for (let answer = ""; ; ) {
    const question = await send("/turn", answer);
    answer = answers[question[0]](question.slice(1));
  }
} catch (error) {
  await send("/fault", String(error.stack ?? error));
}
</script>`;

const FILES = {
  "/": ["text/html", PAGE],
  "/module.mjs": ["text/javascript", readFileSync(join(import.meta.dirname, "module.mjs"))],
  "/tradewind.wasm": ["application/wasm", readFileSync(module)],
};

/** How each is started, with a profile of its own. */
const BROWSERS = {
  chromium: (profile) => [
    browserProgram("chromium"),
    ["--headless", "--no-sandbox", "--no-first-run", "--disable-component-update", `--user-data-dir=${profile}`],
  ],
  firefox: (profile) => {
    // What it would ask its maker by itself.
    const off = ["app.update.enabled", "browser.aboutwelcome.enabled", "datareporting.policy.dataSubmissionEnabled"];
    writeFileSync(join(profile, "user.js"), off.map((name) => `user_pref("${name}", false);\n`).join(""));
    return [browserProgram("firefox"), ["--headless", "--no-remote", "--profile", profile]];
  },
};

function fail(message) {
  console.error(`${browser}: ${message}`);
  process.exitCode = 1;
  stop();
}

/** Gives the answer to the question that the page has. */
let answered = () => {};
/** Gives the page its next question, once it has asked. */
let give;
let asking = new Promise((ready) => (give = ready));

const server = createServer(async (request, response) => {
  if (request.method === "GET") {
    const [type, body] = FILES[request.url] ?? [];
    return type ? response.writeHead(200, { "content-type": type }).end(body) : response.writeHead(404).end();
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  if (request.url !== "/turn") return fail(body.toString());
  answered(body);
  give((question) => response.end(question));
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

const profile = mkdtempSync(join(tmpdir(), "tradewind-browser-"));
const [program, options] = BROWSERS[browser](profile);
const child = spawn(program, [...options, `http://127.0.0.1:${server.address().port}/`], { stdio: "ignore", detached: true });
child.on("error", ({ message }) => fail(`${message}; \`cargo xtask setup\` installs it`));
child.on("exit", (status) => fail(`ended with ${status}`));

function stop() {
  child.removeAllListeners("exit");
  try {
    // With its children: it leads a group of its own.
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It never began, or has ended.
  }
  server.closeAllConnections();
  server.close();
  process.stdin.destroy();
  rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}

async function ask(operation, bytes) {
  const send = await asking;
  asking = new Promise((ready) => (give = ready));
  const answer = new Promise((got) => (answered = got));
  send(Buffer.concat([Buffer.of(operation), bytes]));
  return answer;
}

await serve([0, 1, 2].map((operation) => (bytes) => ask(operation, bytes)));
stop();

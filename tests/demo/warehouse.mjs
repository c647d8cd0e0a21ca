// The warehouse service of the demo: the real `tradewind serve`, with a database of its own.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { dist } from "../../edge-worker/tests/workerd.mjs";

const ROLES = ["shop", "warehouse", "operator", "admin"];
const program = dist("tradewind");
const run = promisify(execFile);

/** Starts the service in a folder, over a snapshot, at a moment. */
export async function startWarehouse({ folder, snapshot, at, objective, port = 0 }) {
  const database = `sqlite:${join(folder, "warehouse.db")}`;
  const keys = {};
  for (const role of ROLES) {
    const made = await run(program, ["serve", "key", "add", role, "--role", role, "--database", database]);
    keys[role] = made.stdout.trim();
  }
  let service = await serve(database, { snapshot, at, objective, port });

  /** Asks the service as someone of a role; an answer that is no success is an error. */
  async function ask(role, method, path, body, headers = {}) {
    const response = await fetch(new URL(path, service.url), {
      method,
      headers: { authorization: `Bearer ${keys[role]}`, ...(body && { "content-type": "application/json" }), ...headers },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    const answer = /json/.test(response.headers.get("content-type")) && text ? JSON.parse(text) : text;
    if (!response.ok) throw new Error(`${method} ${path}: ${answer.detail ?? text}`);
    return answer;
  }

  /** All items of a list, page by page. */
  async function list(path) {
    const items = [];
    for (let after = ""; ; ) {
      const page = await ask("operator", "GET", path + after);
      items.push(...page.items);
      if (!page.next) return items;
      after = `${path.includes("?") ? "&" : "?"}after=${page.next}`;
    }
  }
  return {
    get url() {
      return service.url;
    },
    keys,
    ask,
    list,
    /** Ends it and starts it over the same database at another moment, as when days pass. */
    async restart(at) {
      await service.close();
      service = await serve(database, { snapshot, at, objective, port: Number(new URL(service.url).port) });
    },
    close: () => service.close(),
  };
}

async function serve(database, { snapshot, at, objective, port }) {
  const child = spawn(
    program,
    [
      "serve",
      ...["--listen", `127.0.0.1:${port}`, "--database", database, "--clock", at],
      ...["--module", dist("tradewind.wasm"), "--snapshot", snapshot, "--trust", dist("keys/dev.pub")],
      ...["--pack", dist("packs/late.pack"), "--pack", dist("packs/price.pack")],
      ...["--objective", JSON.stringify(objective)],
    ],
    { stdio: ["ignore", "pipe", process.env.TRADEWIND_VERBOSE ? "inherit" : "ignore"] },
  );
  const ended = once(child, "exit");
  const [url] = await Promise.race([
    once(createInterface(child.stdout), "line"),
    ended.then(([status]) => Promise.reject(new Error(`the warehouse ended with ${status}; TRADEWIND_VERBOSE=1 shows why`))),
  ]);
  return {
    url,
    async close() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

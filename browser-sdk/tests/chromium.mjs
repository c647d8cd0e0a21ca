// Chromium for the tests: all its traffic goes through a proxy that writes down each request, also those of workers,
// and lets none pass to anywhere but this machine.
import { createServer, request as ask } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { browserProgram } from "../../tests/node/program.mjs";

export const root = join(import.meta.dirname, "../..");
export const dist = (file) => join(root, "dist", file);
const { chromium } = createRequire(dist("tools/browser/"))("playwright-core");

/** What Chromium asks its maker by itself, whatever page is open: for updates, and who is signed in. */
const OWN = /(^|\.)(google|googleapis|gvt1|gstatic)\.com$/;

/** Starts Chromium and the proxy; without the proxy, where times are measured. */
export async function startChromium({ recorded = true } = {}) {
  const traffic = [];
  const proxy = createServer((incoming, outgoing) => {
    const url = new URL(incoming.url);
    const chunks = [];
    const seen = { method: incoming.method, url: incoming.url, cookie: incoming.headers.cookie ?? "", body: "" };
    if (!OWN.test(url.hostname)) traffic.push(seen);
    incoming.on("data", (chunk) => chunks.push(chunk));
    incoming.on("end", () => (seen.body = Buffer.concat(chunks).toString()));
    if (url.hostname !== "127.0.0.1") return outgoing.writeHead(502).end();
    const passed = ask(url, { method: incoming.method, headers: incoming.headers }, (response) => {
      outgoing.writeHead(response.statusCode, response.headers);
      response.pipe(outgoing);
    });
    passed.on("error", () => outgoing.writeHead(502).end());
    incoming.pipe(passed);
  });
  proxy.on("connect", (request, socket) => {
    const [host] = request.url.split(":");
    if (!OWN.test(host)) traffic.push({ method: "CONNECT", url: request.url, cookie: "", body: "" });
    socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
  });
  await new Promise((listening) => proxy.listen(0, "127.0.0.1", listening));
  const browser = await chromium.launch({
    executablePath: browserProgram("chromium"),
    args: ["--no-sandbox", "--disable-component-update"],
    proxy: recorded ? { server: `http://127.0.0.1:${proxy.address().port}`, bypass: "<-loopback>" } : undefined,
  });
  return {
    /** A new profile of the browser, with a page in it. `faults` collects what goes wrong there. */
    async page({ gpc = false, ...options } = {}) {
      const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
      if (gpc) {
        // Chromium does not send it yet: this is what pages of browsers that do see.
        await context.addInitScript(() =>
          Object.defineProperty(Navigator.prototype, "globalPrivacyControl", { get: () => true }),
        );
      }
      const page = await context.newPage();
      const faults = [];
      page.on("pageerror", (error) => faults.push(`uncaught: ${error.message}`));
      page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
      return Object.assign(page, { faults, done: () => context.close() });
    },
    /** Everything that was asked since the last time. */
    taken: () => traffic.splice(0),
    async close() {
      await browser.close();
      proxy.closeAllConnections();
      await new Promise((closed) => proxy.close(closed));
    },
  };
}

/** Opens a page of the shop and waits until Tradewind is ready, or has given up. */
export async function open(page, url) {
  await page.goto(url);
  await page.waitForSelector("html[data-tradewind]");
}

/** The SKUs that a slot shows, in order: what the page has in it stays there, and is not seen. */
export const skus = (page, slot) =>
  // In one step, because cards may be replaced between finding and checking them.
  page.evaluate((slot) => {
    const cards = [...document.querySelectorAll(`tradewind-slot[name=${slot}] [data-sku]`)];
    return cards.filter((card) => card.checkVisibility()).map((card) => card.dataset.sku);
  }, slot);

/** Waits until a slot shows other products than `before`; or these again. */
export const shows = (page, slot, before, { again = false } = {}) =>
  page.waitForFunction(
    ([slot, before, again]) => {
      const cards = [...document.querySelectorAll(`tradewind-slot[name=${slot}] [data-sku]`)];
      return (cards.filter((card) => card.checkVisibility()).map((card) => card.dataset.sku).join() === before) === again;
    },
    [slot, before.join(), again],
  );

/** The card at a place of a slot, as a selector. */
export const card = (n, slot = "for-you") => `tradewind-slot[name=${slot}] .card:nth-child(${n}):visible`;

/** Waits until a slot was filled in the page. */
export const filled = (page, slot) => page.waitForSelector(`tradewind-slot[name=${slot}][data-tradewind=device]`);

// The story: one shopper's way from the first page to the packing bench and back to the page, step by step in headless
// Chromium. Each step says what happened in figures, and fails where it is not as told.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { card, open, shows, skus, startChromium } from "../../browser-sdk/tests/chromium.mjs";
import { dist, root } from "../../edge-worker/tests/workerd.mjs";

const REGION = "SEA";
/** Orders of other shops that come in on the same day. */
const OTHERS = 40;
const short = (digest) => digest.slice(0, 12);
const dollars = (cents) => `$${(cents / 100).toFixed(2)}`;

/** Tells it. Screenshots go to `dist/demo`. */
export async function tell({ warehouse, edge, shop, site, configuration, folder }) {
  mkdirSync(dist("demo"), { recursive: true });
  const chromium = await startChromium();
  try {
    const page = await chromium.page();
    await page.context().addCookies([{ name: "tw_region", value: REGION, url: edge.url }]);
    let number = 0;
    const step = async (what, does) => {
      number += 1;
      const start = performance.now();
      const said = await does();
      console.log(`\n${String(number).padStart(2)}. ${what}  (${((performance.now() - start) / 1000).toFixed(1)} s)`);
      for (const line of said) console.log(`      ${line}`);
    };
    const shot = (name) => page.screenshot({ path: dist(`demo/story-${number}-${name}.png`) });

    const module = createHash("sha256").update(readFileSync(dist("tradewind.wasm"))).digest("hex");
    await step("One module, by digest", async () => {
      const [atEdge, inWarehouse] = await Promise.all([edge.url, warehouse.url].map((url) => json(`${url}/healthz`)));
      const served = createHash("sha256").update(await bytes(`${edge.url}${configuration.module.url}`)).digest("hex");
      const found = { file: module, edge: atEdge.module, page: served, warehouse: inWarehouse.module };
      for (const [where, digest] of Object.entries(found)) assert.equal(digest, module, `the module of the ${where}`);
      assert.equal(atEdge.snapshot.root, inWarehouse.snapshot, "edge and warehouse decide over different snapshots");
      return [`${short(module)}… at the edge, for the page and in the warehouse, over snapshot ${short(inWarehouse.snapshot)}…`];
    });

    let first;
    await step("The first page is ranked and priced at the edge", async () => {
      const headers = { cookie: `tw_region=${REGION}` };
      const plain = await (await fetch(shop.url, { headers })).text();
      const response = await fetch(edge.url, { headers });
      const html = await response.text();
      const timing = response.headers.get("server-timing") ?? "";
      assert.match(timing, /device/, `what the edge says of the page: ${timing}`);
      first = cards(html);
      assert.ok(first.length >= 8 && first.join() !== cards(plain).join(), "the edge changed nothing");
      return [`${first.length} cards filled for ${REGION}; ${plain.length} bytes from the origin, ${html.length} to the shopper`];
    });

    await step("The page ranks again with clicks, the network cut", async () => {
      await open(page, edge.url);
      await page.click("[data-consent]");
      await page.waitForSelector(".panel[data-state=granted]");
      await shot("page");
      const before = await skus(page, "for-you");
      await page.context().setOffline(true);
      await page.click(`${card(4)} [data-do=look]`);
      await page.waitForSelector("dialog [data-why] li");
      await page.click("dialog [data-do=add]");
      await shows(page, "for-you", before);
      const after = await skus(page, "for-you");
      // A price that the edge handed over: offline, the page computes only those of products with public floors.
      const kept = after.findIndex((sku) => before.includes(sku)) + 1;
      await page.click(`${card(kept)} [data-do=look]`);
      await page.waitForSelector("dialog [data-why] li");
      await page.click("dialog [data-do=add]");
      await shows(page, "for-you", after);
      await shot("offline");
      await page.context().setOffline(false);
      assert.deepEqual(page.faults.filter((fault) => !/ERR_INTERNET_DISCONNECTED/.test(fault)), []);
      const [took] = await page.$$eval("[data-timings] dt", (names) =>
        names.filter((name) => name.textContent === "last ranking").map((name) => name.nextElementSibling.textContent),
      );
      const moved = (await skus(page, "for-you")).filter((sku) => !before.includes(sku)).length;
      return [`two looks and two clicks later ${moved} of ${before.length} products are others; the last ranking took ${took}`];
    });

    await step("Consent is withdrawn, and given again", async () => {
      const profile = () => page.textContent("[data-profile-text]");
      const known = await profile();
      await page.click("[data-consent]");
      await page.waitForFunction(() => document.querySelector("[data-profile-text]").textContent === "empty");
      await page.click("[data-consent]");
      await page.waitForSelector(".panel[data-state=granted]");
      assert.equal(await profile(), "empty");
      return [`the profile was “${known}”; now it is empty, and there is nowhere else where it was`];
    });

    await step("A real household's orders are replayed in the page, the network cut", async () => {
      const before = await skus(page, "for-you");
      await page.context().setOffline(true);
      const households = await page.$$eval("[data-shopper] option", (options) => options.map(({ value }) => value));
      await page.selectOption("[data-shopper]", households.at(-1));
      await shows(page, "for-you", before);
      await page.waitForFunction(() => document.querySelector("[data-replayed]").textContent);
      await shot("household");
      await page.context().setOffline(false);
      const known = await page.textContent("[data-profile-text]");
      assert.match(known, /^\d+ products, \d+ orders/, known);
      return [`household ${households.at(-1)}: ${known}`, await page.textContent("[data-replayed]")];
    });

    let order;
    await step("Prices are verified at checkout: a tampered one is refused, the true one is honoured", async () => {
      const cart = await page.evaluate(() => localStorage.getItem("cart"));
      const lines = Object.entries(JSON.parse(cart));
      assert.ok(lines.length >= 2 && lines.every(([, { claim }]) => claim), `a line has no quote: ${cart}`);
      await page.evaluate(() => {
        const lines = JSON.parse(localStorage.getItem("cart"));
        Object.values(lines)[0].price -= 30;
        localStorage.setItem("cart", JSON.stringify(lines));
      });
      const refused = await checkOut(page, edge.url);
      assert.equal(refused.ordered, "no", refused.text);
      await shot("tampered");
      await page.evaluate((cart) => localStorage.setItem("cart", cart), cart);
      const honoured = await checkOut(page, edge.url);
      assert.equal(honoured.ordered, "yes", honoured.text);
      await shot("ordered");
      order = /shop-[0-9a-f]+/.exec(honoured.text)?.[0];
      assert.ok(order, honoured.text);
      return [
        `30 cents less was refused: “${refused.lines}”`,
        `as quoted: ${lines.map(([sku, { price }]) => `${sku} at ${dollars(price)}`).join(", ")}; order ${order}`,
      ];
    });

    let shipment;
    await step("The order is allocated, among others of that day", async () => {
      const others = lines(join(root, "tests/cases/decisions/orders.jsonl")).slice(0, OTHERS);
      for (const other of others) {
        await warehouse.ask("shop", "POST", "/v1/orders", other, { "idempotency-key": other.id });
      }
      await Promise.all(others.map(({ id }) => planned(warehouse, id)));
      const found = await planned(warehouse, order);
      [shipment] = live(found);
      assert.equal(found.receipt.module, module, "another module decided");
      return live(found).map(
        ({ node, dispatch, arrival, late }) =>
          `${found.order.lines.length} lines from ${node}: leaves ${dispatch}, arrives ${arrival}, late with ${((late ?? 0) * 100).toFixed(1)} %`,
      );
    });

    await step("Its node closes, and the plan moves", async () => {
      await warehouse.ask("operator", "POST", `/v1/nodes/${shipment.node}/close`);
      const moved = await until("the order is planned again", async () => {
        const found = await planned(warehouse, order);
        return live(found).every(({ node }) => node !== shipment.node) && found;
      });
      const from = shipment.node;
      [shipment] = live(moved);
      await warehouse.ask("operator", "POST", `/v1/nodes/${from}/open`);
      return [`from ${from} to ${live(moved).map(({ node }) => node).join(" and ")}`];
    });

    await step("Two days later nothing has left: an exception is accepted, and the shipment rerouted", async () => {
      await warehouse.restart("2017-12-06T14:00:00Z");
      const list = await until("a shipment that can be rerouted is on the worklist", async () => {
        const list = await warehouse.list("/v1/worklist?limit=1000");
        return list.some(({ exception }) => reroute(exception)) && list;
      });
      const entry = list.find(({ exception }) => reroute(exception));
      const { kind, probability, severity, actions, ...exception } = entry.exception;
      const late = await warehouse.ask("operator", "GET", `/v1/shipments/${exception.shipment}`);
      await watch(page, warehouse);
      await shot("worklist");
      const done = await warehouse.ask("operator", "POST", `/v1/worklist/${entry.id}/act`, reroute(entry.exception));
      const other = await warehouse.ask("operator", "GET", `/v1/shipments/${done.shipment}`);
      assert.notEqual(other.node, late.node);
      return [
        `${list.length} shipments on the worklist; ${exception.shipment}: ${kind}, with ${(probability * 100).toFixed(0)} %, would cost ${dollars(severity)}`,
        `of ${actions.length} actions one click: it leaves from ${other.node} instead of ${late.node}`,
      ];
    });

    await step("What was ordered changes the next snapshot, and the page", async () => {
      const wanted = (await skus(page, "for-you").catch(() => []))[0] ?? first[0];
      const stock = await warehouse.list(`/v1/stock?sku=${wanted}`);
      const units = stock.reduce((sum, { available }) => sum + available, 0);
      const id = "wholesale-1";
      const order = { id, region: REGION, promised: "2017-12-12", lines: [{ sku: wanted, quantity: units }] };
      await warehouse.ask("shop", "POST", "/v1/orders", order, { "idempotency-key": id });
      const shipped = live(await planned(warehouse, id)).flatMap(({ lines }) => lines);
      const sold = shipped.reduce((sum, { quantity }) => sum + quantity, 0);
      assert.ok(sold > 0, "nothing of it was sold");

      const { whole, public: shown } = await nextSnapshot(warehouse, folder);
      const next = { ...configuration, snapshot: "/tradewind/next.snapshot", edge: { ...configuration.edge, private: "next.snapshot" } };
      cpSync(shown, join(site, "tradewind/next.snapshot"));
      await edge.publish(next, whole);
      const html = await until("the edge has the next snapshot", async () => {
        const html = await (await fetch(edge.url, { headers: { cookie: `tw_region=${REGION}` } })).text();
        return !cards(html).includes(wanted) && html;
      });
      return [
        `${sold} of ${units} units of ${wanted} were ordered`,
        `the page showed it; over snapshot ${short((await json(`${edge.url}/healthz`)).snapshot.root)}… it shows ${cards(html).length} others`,
      ];
    });
    await page.done();
    console.log(`\n    Screenshots are in dist/demo.`);
  } finally {
    await chromium.close();
  }
}

/** What the lines of a file hold. */
const lines = (file) => readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));

/** The SKUs of the cards in a page's slots, in order. */
function cards(html) {
  const slots = html.match(/<tradewind-slot[^>]*>.*?<\/tradewind-slot\s*>/gs) ?? [];
  return slots.flatMap((slot) => [...slot.matchAll(/data-sku="([^"]*)"/g)].map(([, sku]) => sku));
}

/** Sends the cart off, and reads what the shop says. */
async function checkOut(page, url) {
  await open(page, `${url}/cart`);
  await Promise.all([page.waitForURL(/checkout/), page.click("[data-cart-form] p > button")]);
  await page.waitForSelector("html[data-tradewind]");
  const text = await page.textContent("main");
  const lines = await page.$$eval("main li", (lines) => lines.map((line) => line.textContent.trim()).join("; "));
  return { ordered: await page.getAttribute("[data-ordered]", "data-ordered"), text: text.replace(/\s+/g, " "), lines };
}

/** The worklist, as someone who signed in sees it. */
async function watch(page, warehouse) {
  await page.goto(warehouse.url);
  if (await page.$("input[type=password]")) {
    await page.fill("input[type=password]", warehouse.keys.operator);
    await Promise.all([page.waitForNavigation(), page.click("form button")]);
  }
  assert.ok(await page.$("main"), "the warehouse shows no page");
}

/** An order, once it is planned. */
const planned = (warehouse, id) =>
  until(`order ${id} is planned`, async () => {
    const order = await warehouse.ask("operator", "GET", `/v1/orders/${id}`);
    return order.decided && order.state !== "queued" && live(order).length > 0 && order;
  });

const live = ({ shipments }) => shipments.filter(({ state }) => state !== "cancelled");
const reroute = ({ actions }) => actions.find(({ step }) => step.reroute);

/** The merchant's tables, with the stock that the warehouse has now, made into the next snapshot. */
async function nextSnapshot(warehouse, folder) {
  const tables = join(folder, "tables");
  cpSync(join(root, "models/snapshot"), tables, { recursive: true });
  rmSync(join(tables, "stock.parquet"));
  const stock = await warehouse.list("/v1/stock?limit=1000");
  const columns = ["node", "sku", "on_hand", "reserved", "safety"];
  const rows = [columns, ...stock.map((row) => columns.map((column) => row[column]))];
  writeFileSync(join(tables, "stock.csv"), `${rows.map((row) => row.join()).join("\n")}\n`);
  const [whole, shown] = ["whole", "public"].map((part) => join(folder, `next.${part}.snapshot`));
  await promisify(execFile)(dist("tradewind"), [
    ...["snapshot", "build", tables, "--key", dist("keys/dev.key"), "--trust", dist("keys/dev.pub")],
    ...["--module", dist("tradewind.wasm"), "--demand", dist("packs/demand.pack"), "--out", whole, "--public", shown],
  ]);
  return { whole, public: shown };
}

/** Asks until there is an answer. */
export async function until(what, ask) {
  const end = Date.now() + 20_000;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`it was waited for in vain that ${what}`);
    await new Promise((resume) => setTimeout(resume, 100));
  }
}

const json = async (url) => (await fetch(url)).json();
const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());

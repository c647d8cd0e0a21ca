// The warehouse's pages in Chromium, without a line of JavaScript: as someone sees and uses them, with a keyboard too.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { root, startChromium } from "../../browser-sdk/tests/chromium.mjs";
import { dist } from "../../edge-worker/tests/workerd.mjs";
import { until } from "./story.mjs";
import { startWarehouse } from "./warehouse.mjs";

const { at, objective } = JSON.parse(readFileSync(dist("site/tradewind/tradewind.json"), "utf8"));
const orders = readFileSync(join(root, "tests/cases/decisions/orders.jsonl"), "utf8").trim().split("\n").slice(0, 30);

let folder;
let chromium;
let warehouse;
let page;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tradewind-worklist-"));
  [chromium, warehouse] = await Promise.all([
    startChromium(),
    startWarehouse({ folder, snapshot: dist("reference.snapshot"), at, objective }),
  ]);
  page = await chromium.page({ javaScriptEnabled: false });
});
after(async () => {
  await Promise.all([chromium?.close(), warehouse?.close()]);
  rmSync(folder, { recursive: true });
});

/** Loads the page again until it is as wanted. */
const shown = (what, holds) =>
  until(what, async () => {
    await page.goto(warehouse.url);
    return holds();
  });

const signIn = async (key) => {
  await page.getByLabel("Access key").fill(key);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
};
const rowOf = (table, text) => page.locator(`section[aria-labelledby=${table}] tr`, { hasText: text });

test("an invalid key opens nothing, and the page says so", async () => {
  await page.goto(warehouse.url);
  await signIn("tw_nobody");
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "Sign in");
  assert.match(await page.getByRole("alert").textContent(), /key/i);
});

test("someone signed in sees orders with their state, and each has a page", async () => {
  await page.goto(warehouse.url);
  await signIn(warehouse.keys.operator);
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "Worklist");
  for (const order of orders) {
    await warehouse.ask("shop", "POST", "/v1/orders", JSON.parse(order), { "idempotency-key": JSON.parse(order).id });
  }
  const { id } = JSON.parse(orders.at(-1));
  await shown("the last order is allocated", () => rowOf("orders", id).getByText("allocated").count());
  await page.getByRole("link", { name: id }).first().click();
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), `Order ${id}`);
});

test("a node is closed and opened again by its button", async () => {
  await page.goto(warehouse.url);
  const code = await page.locator("section[aria-labelledby=nodes] tbody th").first().textContent();
  await page.getByRole("button", { name: `Close ${code}` }).click();
  assert.equal(await rowOf("nodes", code).locator(".state").textContent(), "closed");
  await page.getByRole("button", { name: `Open ${code}` }).click();
  assert.equal(await rowOf("nodes", code).locator(".state").textContent(), "open");
});

test("an exception comes with its evidence; an action is one click, and a thumb down another", async () => {
  await warehouse.restart("2017-12-06T14:00:00Z");
  await shown("two exceptions are there", async () => (await page.locator(".work article").count()) > 1);
  const first = page.locator(".work article").first();
  assert.match(await first.locator(".stake").textContent(), /^[\d.,]+ USD at stake, [\d.]+ % likely$/);
  assert.ok((await first.locator(".evidence li").count()) > 0);
  const shipment = await first.locator("h3 code").textContent();
  await first.getByRole("button", { name: "Not useful" }).click();
  assert.match(await page.locator(".work article", { hasText: shipment }).first().textContent(), /thank you/);
  const other = await page.locator(".work article").nth(1).locator("h3 code").textContent();
  await page.locator(".work article", { hasText: other }).first().locator(".actions button").first().click();
  await page.goto(warehouse.url);
  const done = await page.locator("details li", { hasText: other }).first().textContent();
  assert.match(done, /: [A-Z][a-z]+.* · operator/);
});

test("headings, tables, forms and words are such as a screen reader needs", async () => {
  await page.goto(warehouse.url);
  assert.ok(await page.getAttribute("html", "lang"));
  assert.equal(await page.locator("h1").count(), 1);
  assert.equal(await page.locator("main").count(), 1);
  for (const part of await page.locator("[aria-labelledby]").all()) {
    const label = await part.getAttribute("aria-labelledby");
    assert.equal(await page.locator(`[id="${label}"]`).count(), 1, `nothing, or more than one, is called ${label}`);
  }
  for (const button of await page.locator("button").all()) assert.ok((await button.textContent()).trim());
  for (const table of await page.locator("table").all()) {
    assert.equal(await table.locator("thead th:not([scope=col])").count(), 0);
    assert.ok((await table.locator("tbody tr").count()) === 0 || (await table.locator("tbody th[scope=row]").count()) > 0);
  }
  // Everything that can be done is reached by the keyboard, in the order of the page.
  await page.keyboard.press("Tab");
  assert.ok(await page.locator(":focus-visible").count());
});

test("nothing is asked of anyone else, and signing out ends it", async () => {
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.goto(warehouse.url);
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "Sign in");
  const elsewhere = chromium.taken().filter(({ url }) => !url.startsWith(warehouse.url));
  assert.deepEqual(elsewhere, []);
});

// Elements in pages of React and Vue: Tradewind leaves a framework's children alone, and the framework leaves Tradewind's.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startShop } from "../storefront/server.mjs";
import { builtApps } from "./apps.mjs";
import { shows, skus, startChromium } from "./chromium.mjs";
import { beside, handover, inPlace, rankedAtTheEdge } from "./handed.mjs";

let chromium, ranked;
/** Scripts of the pages, and what a server makes of the same components. */
let scripts, rendered;

before(async () => {
  ({ scripts, rendered } = await builtApps());
  chromium = await startChromium();
  ranked = await rankedAtTheEdge(chromium);
});
after(() => chromium?.close());

/** A page of a framework, with what a server or an edge made of it. */
async function opened(framework, html = "", more = "", hash = "") {
  const shop = await startShop({
    files: {
      "/app.js": scripts[framework],
      "/app.html": `<!doctype html><html lang="en" data-tradewind-region="ORD"><link rel="icon" href="/icon.svg"><title>App</title>
        <body><div id="root">${html}</div>${more}<script type="module" src="/app.js"></script></body></html>`,
    },
  });
  const page = await chromium.page();
  await page.goto(`${shop.url}/app.html${hash}`);
  await page.waitForFunction(() => globalThis.tradewind && !!document.querySelector("tradewind-price[data-tradewind]"));
  const done = async () => {
    await page.done();
    await shop.close();
  };
  return { page, done };
}

const filled = (page) =>
  page.waitForSelector("tradewind-slot[data-tradewind=device]").then(() => page.waitForSelector("tradewind-price[data-tradewind=device]"));
const change = (page, state) => page.evaluate((state) => globalThis.change(state), state);
/** What the framework's own children say, whether they are shown or not. */
const own = (page) =>
  page.$eval("tradewind-slot", (slot) =>
    [...slot.childNodes].filter((node) => node.nodeType !== Node.COMMENT_NODE && node.slot !== "tradewind").map((node) => node.textContent).join("|"),
  );
const price = (page) => page.innerText("tradewind-price");
const shown = (page) => skus(page, "for-you");

for (const framework of ["react", "vue"]) {
  test(`${framework}: the framework's children live on under what is ranked, and attributes that it changes count`, async () => {
    const { page, done } = await opened(framework);
    await filled(page);
    const first = await shown(page);
    assert.equal(first.length, 8);
    assert.equal(await own(page), "own 0");
    assert.match(await price(page), /^\$\d+\.\d\d$/);

    await change(page, { count: 2 });
    await page.waitForFunction(() => /own 2/.test(document.querySelector("tradewind-slot").textContent));
    assert.equal(await own(page), "own 2|more");
    assert.deepEqual(await shown(page), first, "what was ranked is gone with a render");
    await change(page, { count: 1, limit: 5 });
    await page.waitForFunction(() => document.querySelectorAll("tradewind-slot > [slot=tradewind] [data-sku]").length === 5);
    assert.deepEqual(await shown(page), first.slice(0, 5));
    assert.equal(await own(page), "own 1");

    const before = await price(page);
    await change(page, { sku: "860776" });
    await page.waitForFunction((before) => {
      const price = document.querySelector("tradewind-price");
      return price.innerText.startsWith("$") && price.innerText !== before;
    }, before);
    assert.deepEqual(page.faults, []);
    await page.evaluate(() => globalThis.root.unmount());
    assert.equal(await page.innerHTML("#root"), "");
    assert.deepEqual(page.faults, []);
    await done();
  });
}

test("react: replacing all children by one text keeps Tradewind's content", async () => {
  const { page, done } = await opened("react");
  await filled(page);
  const first = await shown(page);
  await change(page, { text: true });
  await page.waitForFunction(() => /own text/.test(document.querySelector("tradewind-slot").textContent));
  assert.deepEqual(await shown(page), first);
  await change(page, { text: false, count: 3 });
  await page.waitForFunction(() => /own 3/.test(document.querySelector("tradewind-slot").textContent));
  assert.equal(await own(page), "own 3|more");
  assert.deepEqual(await shown(page), first);
  assert.deepEqual(page.faults, []);
  await done();
});

test("react: StrictMode loads, closes and loads; slot and price are filled each time", async () => {
  for (let time = 0; time < 6; time++) {
    const { page, done } = await opened("react");
    await filled(page);
    assert.equal((await shown(page)).length, 8, `time ${time}`);
    await done();
  }
});

test("react: a slot that the edge filled beside its children is hydrated unchanged", async () => {
  const { page, done } = await opened("react", beside(rendered.react, ranked.html), handover(ranked));
  await page.waitForSelector("tradewind-price[data-tradewind=device]");
  assert.deepEqual(await page.evaluate(() => [globalThis.recovered, globalThis.first.isConnected]), [[], true]);
  assert.deepEqual(await shown(page), ranked.skus);
  assert.equal(await page.getAttribute("tradewind-slot", "data-tradewind"), "edge", "it was ranked again");
  await change(page, { count: 2 });
  await page.waitForFunction(() => /own 2/.test(document.querySelector("tradewind-slot").textContent));
  assert.deepEqual(await shown(page), ranked.skus);
  assert.deepEqual(page.faults, []);

  // Something new is ranked in the page, in the same place.
  await page.evaluate(async (sku) => {
    await globalThis.tradewind.setConsent("granted");
    await globalThis.tradewind.track({ dismiss: { sku } });
  }, ranked.skus[0]);
  await shows(page, "for-you", ranked.skus);
  assert.equal((await shown(page)).length, 8);
  assert.ok(!(await shown(page)).includes(ranked.skus[0]));
  assert.equal(await page.$$eval("tradewind-slot > [slot=tradewind]", (all) => all.length), 1);
  await done();
});

for (const framework of ["react", "vue"]) {
  for (const hash of ["", "#late"]) {
    test(`${framework}: where hydration throws away what the edge filled in, the page puts it back${hash && ", also later"}`, async () => {
      const { page, done } = await opened(framework, inPlace(rendered[framework], ranked.html), handover(ranked), hash);
      await page.waitForFunction(() => document.querySelector("tradewind-slot").textContent.includes("own 0"));
      await page.waitForSelector("tradewind-slot[data-tradewind]");
      assert.deepEqual(await shown(page), ranked.skus);
      assert.equal(await page.getAttribute("tradewind-slot", "data-tradewind"), "edge", "it was ranked again");
      await change(page, { count: 2 });
      await page.waitForFunction(() => /own 2/.test(document.querySelector("tradewind-slot").textContent));
      assert.deepEqual(await shown(page), ranked.skus);
      await done();
    });
  }
}

test("react: what was ranked before hydration stays", async () => {
  // The SDK is there before React is: its cards are in the page that is hydrated.
  const shop = await startShop({
    files: {
      "/app.js": scripts.react,
      "/early.js": `
        import { Tradewind } from "/tradewind/sdk/index.js";
        await Tradewind.load({ config: "/tradewind/tradewind.json" });
        while (!document.querySelector("tradewind-slot[data-tradewind]")) await new Promise((soon) => setTimeout(soon, 10));
        document.body.append(Object.assign(document.createElement("script"), { type: "module", src: "/app.js" }));`,
      "/app.html": `<!doctype html><html lang="en" data-tradewind-region="ORD"><link rel="icon" href="/icon.svg"><title>App</title>
        <body><div id="root">${rendered.react}</div><script type="module" src="/early.js"></script></body></html>`,
    },
  });
  const page = await chromium.page();
  await page.goto(`${shop.url}/app.html`);
  await page.waitForFunction(() => globalThis.tradewind);
  assert.deepEqual(await page.evaluate(() => [globalThis.recovered, globalThis.first.isConnected]), [[], true]);
  assert.equal((await shown(page)).length, 8);
  await change(page, { count: 2 });
  await page.waitForFunction(() => /own 2/.test(document.querySelector("tradewind-slot").textContent));
  assert.equal((await shown(page)).length, 8);
  assert.deepEqual(page.faults, []);
  await page.done();
  await shop.close();
});

// The elements in pages of React and Vue: what a framework owns is left alone, and it leaves alone what Tradewind adds.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startShop } from "../storefront/server.mjs";
import { dist, shows, skus, startChromium } from "./chromium.mjs";
import { beside, handover, inPlace, rankedAtTheEdge } from "./handed.mjs";

const tools = createRequire(dist("tools/browser/"));
const { build } = tools("esbuild");

const REACT = `
  import { StrictMode, useEffect, useState } from "react";

  function App({ load }) {
    const [state, setState] = useState({ count: 0, limit: 8, sku: "1082185", text: false });
    const { count, limit, exclude, sku, text } = state;
    globalThis.change = (with_) => setState((state) => ({ ...state, ...with_ }));
    useEffect(() => {
      if (!load) return;
      let gone = false;
      const loading = load();
      loading.then((tradewind) => gone || (globalThis.tradewind = tradewind));
      return () => {
        gone = true;
        loading.then((tradewind) => tradewind.close(), () => {});
      };
    }, [load]);
    return (
      <main>
        <tradewind-slot name="for-you" limit={limit} exclude={exclude} hydrate="" suppressHydrationWarning>
          {text ? "own text" : [<a key="a" href="/own" onClick={() => {}}>own {count}</a>, count > 1 && <b key="b">more</b>]}
        </tradewind-slot>
        <p id="count">{count}</p>
        <tradewind-price sku={sku} suppressHydrationWarning>{\`own \${sku}\`}</tradewind-price>
      </main>
    );
  }
  export const app = (load) => <StrictMode><App load={load} /></StrictMode>;`;

const REACT_PAGE = `
  import { createRoot, hydrateRoot } from "react-dom/client";
  import { app } from "./react.jsx";
  const sdk = () => import("/tradewind/sdk/index.js");
  if (location.hash !== "#late") await sdk();
  const load = async () => {
    const { Tradewind } = await sdk();
    return Tradewind.load({ config: "/tradewind/tradewind.json" });
  };
  globalThis.recovered = [];
  globalThis.first = document.querySelector("tradewind-slot");
  const root = document.getElementById("root");
  const onRecoverableError = (error) => globalThis.recovered.push(error.message);
  if (root.firstChild) globalThis.root = hydrateRoot(root, app(load), { onRecoverableError });
  else (globalThis.root = createRoot(root)).render(app(load));`;

const VUE = `
  import { createSSRApp, createApp, h, ref } from "vue";
  const Own = { props: ["count"], setup: (props) => () => h("i", "own " + props.count) };
  export const state = { count: ref(0), limit: ref(8), sku: ref("1082185") };
  const { count, limit, sku } = state;
  export const app = (create = createApp) => create({
    setup: () => () => h("main", [
      h("tradewind-slot", { name: "for-you", limit: limit.value, "data-allow-mismatch": "" }, [
        h(Own, { count: count.value }),
        ...(count.value > 1 ? [h("b", "more")] : []),
      ]),
      h("tradewind-price", { sku: sku.value, "data-allow-mismatch": "" }, "own " + sku.value),
    ]),
  });
  export { createSSRApp };`;

const VUE_PAGE = `
  import { app, createSSRApp, state } from "./vue.js";
  const sdk = () => import("/tradewind/sdk/index.js");
  if (location.hash !== "#late") await sdk();
  globalThis.first = document.querySelector("tradewind-slot");
  globalThis.change = (with_) => Object.entries(with_).forEach(([name, value]) => (state[name].value = value));
  const root = document.getElementById("root");
  globalThis.root = app(root.firstChild ? createSSRApp : undefined);
  globalThis.root.mount(root);
  globalThis.tradewind = await (await sdk()).Tradewind.load({ config: "/tradewind/tradewind.json" });`;

let folder, chromium, ranked;
/** Scripts of the pages, and what a server makes of the same components. */
let scripts, rendered;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tradewind-frameworks-"));
  for (const [name, text] of Object.entries({ "react.jsx": REACT, "react-page.js": REACT_PAGE, "vue.js": VUE, "vue-page.js": VUE_PAGE })) {
    writeFileSync(join(folder, name), text);
  }
  writeFileSync(join(folder, "server.js"), `
    import { renderToString as react } from "react-dom/server.browser";
    import { renderToString as vue } from "vue/server-renderer";
    import { app as reactApp } from "./react.jsx";
    import { app as vueApp, createSSRApp } from "./vue.js";
    const html = { react: react(reactApp()), vue: await vue(vueApp(createSSRApp)) };
    process.stdout.write(JSON.stringify(html), () => process.exit());`);
  const options = {
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    nodePaths: [dist("tools/browser/node_modules")],
    external: ["/tradewind/*"],
    // As developers have it: whatever React or Vue dislikes is on the console.
    define: { "process.env.NODE_ENV": '"development"', __VUE_OPTIONS_API__: "true", __VUE_PROD_DEVTOOLS__: "false" },
  };
  const bundled = async (name) => (await build({ ...options, entryPoints: [join(folder, name)] })).outputFiles[0].text;
  writeFileSync(join(folder, "server.mjs"), await bundled("server.js"));
  scripts = { react: await bundled("react-page.js"), vue: await bundled("vue-page.js") };
  // In a process of its own, which React's server would keep from ending.
  rendered = JSON.parse(execFileSync("node", [join(folder, "server.mjs")], { encoding: "utf8" }));
  chromium = await startChromium();
  ranked = await rankedAtTheEdge(chromium);
});
after(async () => {
  await chromium?.close();
  rmSync(folder, { recursive: true });
});

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

test("react: children that become one text, which replaces all, take nothing of Tradewind's along", async () => {
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

test("react: a slot that the edge filled beside its children is hydrated as it is", async () => {
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

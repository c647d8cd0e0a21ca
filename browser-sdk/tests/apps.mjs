// A small shop in React and in Vue: the scripts of its pages, and what a server makes of the same components.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dist } from "./chromium.mjs";

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

/** The scripts of the pages, and what a server rendered, by framework. */
export async function builtApps() {
  const folder = mkdtempSync(join(tmpdir(), "tradewind-frameworks-"));
  try {
    return await builtIn(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function builtIn(folder) {
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
  const scripts = { react: await bundled("react-page.js"), vue: await bundled("vue-page.js") };
  // In a process of its own, which React's server would keep from ending.
  const rendered = JSON.parse(execFileSync("node", [join(folder, "server.mjs")], { encoding: "utf8" }));
  return { scripts, rendered };
}

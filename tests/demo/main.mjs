// The demo: a shop's origin, the edge before it, and the warehouse behind it, all on this machine and all deciding with
// the same tradewind.wasm.
//
//   node tests/demo/main.mjs           starts them and says where to look, until Ctrl-C
//   node tests/demo/main.mjs --once    tells the story in headless Chromium; fails where a step is not as told
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startShop } from "../../browser-sdk/storefront/server.mjs";
import { startEdge } from "./edge.mjs";
import { dist } from "../../edge-worker/tests/workerd.mjs";
import { tell } from "./story.mjs";
import { startWarehouse } from "./warehouse.mjs";

const once = process.argv.includes("--once");
const folder = mkdtempSync(join(tmpdir(), "tradewind-demo-"));
const configuration = JSON.parse(readFileSync(dist("site/tradewind/tradewind.json"), "utf8"));
// So that the demo shows soon what a shop would see within a minute.
configuration.edge.refresh_seconds = 1;
const snapshot = dist("reference.snapshot");
const site = join(folder, "site");
cpSync(dist("site"), site, { recursive: true });
const open = [];
const started = async (part) => (open.unshift(await part), open[0]);

let failed;
try {
  const { at, objective } = configuration;
  const port = (usual) => (once ? 0 : usual);
  const warehouse = await started(startWarehouse({ folder, snapshot, at, objective, port: port(8080) }));
  const shop = await started(startShop({ warehouse: { url: warehouse.url, key: warehouse.keys.shop } }));
  const edge = await started(startEdge({ origin: shop.url, site, configuration, snapshot, port: port(8000) }));
  if (once) {
    await tell({ warehouse, shop, edge, site, configuration, folder });
  } else {
    console.log(`
  The shop is open at ${edge.url}
    - pages come from an origin, are ranked and priced at the edge, and ranked again in the page: see the panel
    - view products, allow a profile, withdraw it; be a real household of 2017; cut the network: the page goes on ranking
    - with ${edge.url}/?profile=edge the edge knows the profile, too, and ranks the next page
    - put something into the cart and order: the warehouse computes each price again, and decides from where it ships

  The warehouse is at ${warehouse.url}
    - orders, stock, exceptions and their actions; the API is at ${warehouse.url}/docs
    - sign in with the key  ${warehouse.keys.admin}

  Ctrl-C closes both.`);
    await new Promise((stop) => ["SIGINT", "SIGTERM"].forEach((signal) => process.once(signal, stop)));
  }
} catch (error) {
  failed = error;
} finally {
  for (const part of open) await part.close();
  rmSync(folder, { recursive: true });
}
if (failed) {
  console.error(`\nThe demo failed: ${failed.stack}`);
  process.exit(1);
}

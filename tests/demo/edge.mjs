// The edge of the demo: the Worker in workerd, before the shop's origin.
import { readFileSync } from "node:fs";
import { startWorkerd } from "../../edge-worker/tests/workerd.mjs";

/** Starts it over a folder of assets, a configuration and the whole snapshot. */
export async function startEdge({ origin, site, configuration, snapshot, port = 0 }) {
  const { url, configure, put, close } = await startWorkerd({ origin, site, port });
  /** Puts a configuration into force, with a snapshot under the name that it says. */
  async function publish(configuration, snapshot) {
    await put(configuration.edge.private, readFileSync(snapshot));
    await configure(configuration);
  }
  await publish(configuration, snapshot);
  return { url, publish, close };
}

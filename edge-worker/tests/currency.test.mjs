// Amounts in currencies whose minor units are not what the platform's `Intl` shows of them, or are not two digits.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { dist, root } from "./workerd.mjs";
import { inside, startEdge, startOrigin } from "./shop.mjs";

/** The reference snapshot with its amounts in another currency: whole, and its public part. */
function snapshot(currency) {
  const folder = mkdtempSync(join(tmpdir(), "tradewind-currency-"));
  try {
    cpSync(join(root, "models/snapshot"), folder, { recursive: true });
    const settings = JSON.parse(readFileSync(join(folder, "snapshot.json"), "utf8"));
    writeFileSync(join(folder, "snapshot.json"), JSON.stringify({ ...settings, currency }));
    const [whole, cut] = ["whole", "public"].map((name) => join(folder, `${name}.snapshot`));
    const { status, stderr } = spawnSync(
      dist("tradewind"),
      ["snapshot", "build", folder, "--out", whole, "--public", cut, "--key", dist("keys/dev.key")],
      { encoding: "utf8" },
    );
    assert.equal(status, 0, stderr);
    return [readFileSync(whole), readFileSync(cut)];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("an amount is divided by the minor units of ISO 4217", async () => {
  const origin = await startOrigin({ "/": '<tradewind-price sku="1082185">own</tradewind-price>' });
  for (const [currency, digits] of [["RSD", 2], ["HUF", 2], ["JPY", 0], ["KWD", 3]]) {
    const [whole, cut] = snapshot(currency);
    const edge = await startEdge({
      origin: origin.url,
      assets: { "public.snapshot": cut },
      objects: { "reference.snapshot": whole },
    });
    const body = JSON.stringify({ sku: "1082185", region: "SEA" });
    const quote = await (await edge.get("/v1/quote", { method: "POST", body, headers: { "content-type": "application/json" } })).json();
    assert.equal(quote.currency, currency);
    const amount = (quote.price / 10 ** digits).toFixed(digits);
    const offer = await (await edge.get("/v1/offers/1082185?region=SEA")).json();
    assert.deepEqual([offer.priceCurrency, offer.price], [currency, amount]);
    const shown = inside(await (await edge.get("/")).text(), "tradewind-price");
    assert.equal(shown.replace(/&#\d+;|[^\d.]/g, ""), amount, `${currency}: ${shown}`);
    await edge.close();
  }
  origin.close();
});

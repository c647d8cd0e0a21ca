// The checkout: the shop's backend asks the warehouse whether the prices hold that the cart claims, and orders.
import { randomUUID } from "node:crypto";
import { products } from "./catalog.mjs";

/** By when the shop delivers what it has promised no day for: the last one of the reference snapshot. */
const LATEST = "2017-12-11";

/** What becomes of a cart: see `checkoutPage`. `warehouse` is `{ url, key }`. */
export async function checkout(form, { region }, warehouse) {
  const cart = read(form.get("cart"));
  if (!cart.length) return { ordered: false, title: "There is nothing to order", text: "The cart is empty.", lines: [] };
  const order = {
    id: `shop-${randomUUID().slice(0, 8)}`,
    region: region.code,
    lines: cart.map(({ sku, quantity }) => ({ sku, quantity })),
    promised: cart.map(({ promised }) => promised).sort().at(-1),
  };
  const line = ({ product, quantity }, text, good) => ({ title: product.title, quantity, text, good });
  if (!warehouse) {
    return {
      ordered: false,
      title: "The warehouse is closed",
      text: "No warehouse is configured for this shop, so nothing was ordered. With one, this is what would be asked.",
      lines: cart.map((one) => line(one, `at ${dollars(one.price)}`, true)),
      request: JSON.stringify(order, null, 2),
    };
  }
  const checked = await Promise.all(cart.map((one) => verified(one, region, warehouse)));
  const lines = cart.map((one, n) => line(one, checked[n].text, checked[n].good));
  if (!checked.every(({ good }) => good)) {
    return { ordered: false, title: "A price has changed", text: "Nothing was ordered. Please check the cart again.", lines };
  }
  const answer = await ask(warehouse, "/v1/orders", order, { "idempotency-key": order.id });
  if (!answer.ok) {
    return { ordered: false, title: "The order was not taken", text: answer.detail, lines, request: JSON.stringify(order, null, 2) };
  }
  return {
    ordered: true,
    title: "Thank you",
    text: `Order ${answer.body.id} is with the warehouse, which decides from where it ships.`,
    lines,
    request: JSON.stringify(order, null, 2),
  };
}

/** Whether the price of a line holds: what was quoted is computed again, and anything else must be the shop's. */
async function verified({ sku, product, price, claim }, region, warehouse) {
  if (!claim) {
    const good = price === product.price;
    return { good, text: good ? `at the shop's price, ${dollars(price)}` : `at ${dollars(price)}, but it costs ${dollars(product.price)}` };
  }
  const answer = await ask(warehouse, "/v1/quotes/verify", { ...claim, sku, region: region.code, price });
  if (answer.ok) return { good: true, text: `at ${dollars(price)}; the warehouse computed the same price` };
  return { good: false, text: answer.detail };
}

async function ask({ url, key }, path, body, headers = {}) {
  try {
    const response = await fetch(new URL(path, url), {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const answer = await response.json().catch(() => ({}));
    const detail = answer.detail ?? answer.title ?? `the warehouse answered with status ${response.status}`;
    return { ok: response.ok, body: answer, detail };
  } catch (error) {
    return { ok: false, body: {}, detail: `the warehouse cannot be reached: ${error.message}` };
  }
}

/** The lines of a cart that was sent; what is no line of the shop's is left out. */
function read(text) {
  let lines;
  try {
    lines = JSON.parse(text ?? "[]");
  } catch {
    return [];
  }
  if (!Array.isArray(lines)) return [];
  const found = lines.map(({ sku, quantity, price, promised, claim }) => {
    const product = products.find((product) => product.sku === sku);
    const sound = Number.isSafeInteger(quantity) && quantity > 0 && quantity < 1000;
    if (!product || !sound) return undefined;
    return {
      sku,
      product,
      quantity,
      // A cart that was filled without Tradewind names neither.
      price: Number.isSafeInteger(price) ? price : product.price,
      promised: /^\d{4}-\d{2}-\d{2}$/.test(promised) ? promised : LATEST,
      claim: claim && { snapshot: String(claim.snapshot), at: String(claim.at) },
    };
  });
  return found.filter(Boolean);
}

const dollars = (cents) => `$${(cents / 100).toFixed(2)}`;

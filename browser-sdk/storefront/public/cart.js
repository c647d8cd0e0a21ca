// The cart, which stays on this device until the checkout.
import { money } from "/tradewind/sdk/index.js";

const KEY = "cart";
const read = () => JSON.parse(localStorage.getItem(KEY) ?? "{}");
const write = (lines) => localStorage.setItem(KEY, JSON.stringify(lines));

export const cart = {
  /** Adds a unit, at the price that is shown: a quoted one with what it takes to compute it again. */
  async add(sku, tradewind) {
    const lines = read();
    const quantity = (lines[sku]?.quantity ?? 0) + 1;
    lines[sku] = { ...lines[sku], ...(tradewind && (await priced(sku, tradewind))), quantity };
    write(lines);
    count();
  },
};

/** The price of a product, and the claim with which the warehouse can compute it again. */
async function priced(sku, tradewind) {
  const [product] = await tradewind.products([sku]);
  const quote = await tradewind.quote({ sku }).catch(() => undefined);
  const to = product?.delivery?.to;
  return {
    price: quote?.price ?? product?.price,
    currency: product?.currency ?? "USD",
    promised: to === undefined ? undefined : new Date(to).toISOString().slice(0, 10),
    claim: quote && { snapshot: quote.snapshot, at: quote.at },
  };
}

function count() {
  const badge = document.querySelector("[data-cart-count]");
  const units = Object.values(read()).reduce((sum, { quantity }) => sum + quantity, 0);
  badge.hidden = units === 0;
  badge.textContent = units;
}

/** Shows how much is in the cart, and on its page what. */
export async function showCart(tradewind) {
  count();
  const form = document.querySelector("[data-cart-form]");
  if (document.querySelector("[data-ordered=yes]")) {
    const lines = Object.entries(read()).map(([sku, { quantity }]) => ({ sku, quantity }));
    localStorage.removeItem(KEY);
    count();
    if (lines.length) await tradewind?.track({ purchase: { lines } });
  }
  if (!form) return;
  const texts = await (await fetch("/tradewind/products.json", { credentials: "omit" })).json();
  show(form, texts);
}

function show(form, texts) {
  const lines = Object.entries(read());
  form.hidden = lines.length === 0;
  document.querySelector("[data-cart-empty]").hidden = lines.length > 0;
  const amount = (cents, currency = "USD") => money(cents, currency, document.documentElement.lang);
  const rows = lines.map(([sku, { quantity, price, currency, promised }]) => {
    const row = document.createElement("tr");
    row.innerHTML = `<th scope="row"><a></a><small></small></th><td></td><td></td><td></td>
      <td><button type="button" class="small quiet">Remove</button></td>`;
    const [link, note, ...cells] = row.querySelectorAll("a, small, td");
    link.textContent = texts[sku]?.title ?? sku;
    link.href = texts[sku]?.url ?? "/";
    note.textContent = promised ? `arrives by ${promised}` : "";
    [quantity, amount(price, currency), amount(quantity * price, currency)].forEach((text, n) => (cells[n].textContent = text));
    row.querySelector("button").addEventListener("click", () => {
      const { [sku]: _, ...rest } = read();
      write(rest);
      count();
      show(form, texts);
    });
    return row;
  });
  form.querySelector("[data-cart-lines]").replaceChildren(...rows);
  const total = lines.reduce((sum, [, { quantity, price }]) => sum + quantity * price, 0);
  form.querySelector("[data-cart-total]").textContent = amount(total);
  form.elements.cart.value = JSON.stringify(lines.map(([sku, line]) => ({ sku, ...line })));
}

// The shop in the page: what the shopper does is tracked on this device, and the panel says what is known.
import { Tradewind, delivery, money, sentence } from "/tradewind/sdk/index.js";
import { cart, showCart } from "/cart.js";
import { showPanel } from "/panel.js";

document.documentElement.classList.add("js");
const panel = document.querySelector(".panel");

let tradewind;
try {
  tradewind = await Tradewind.load({ config: "/tradewind/tradewind.json", ...chosen() });
} catch (error) {
  panel.innerHTML = "<h2>This page, without Tradewind</h2><p class=notice></p>";
  panel.querySelector("p").textContent = `What you see is the shop's own page. (${error.code}: ${error.message})`;
  document.documentElement.dataset.tradewind = error.code;
}
showCart(tradewind);
if (tradewind) {
  // Each may fail by itself; what the shop wrote is there.
  for (const show of [() => showPanel(panel, tradewind), () => showProduct(tradewind)]) await show().catch(console.warn);
  document.documentElement.dataset.tradewind = "ready";
}

/** `?run=page` runs the module in the page itself; `?profile=edge` tells the edge of events, too, where there is one. */
function chosen() {
  const asked = new URLSearchParams(location.search);
  return {
    run: asked.get("run") === "page" ? "page" : "worker",
    events: asked.get("profile") === "edge" ? "/v1/events" : undefined,
  };
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-do]");
  if (!button) return;
  const sku = button.dataset.sku ?? button.closest("[data-sku]")?.dataset.sku;
  const what = button.dataset.do;
  if (what === "look") return look(sku);
  if (what === "add") return add(sku);
  if (what === "dismiss" && !(await tradewind?.track({ dismiss: { sku } }))) {
    toast("That is not remembered: no profile is kept on this device.");
  }
});

/** The product of this page: its price, why, and when it arrives. */
async function showProduct(tradewind) {
  const article = document.querySelector("[data-product]");
  if (!article) return;
  const sku = article.dataset.product;
  await describe(tradewind, sku, article);
  await tradewind.track({ view: { sku } });
}

/** Fills in what is known of a product. */
async function describe(tradewind, sku, element) {
  const [product] = await tradewind.products([sku]);
  if (!product) return;
  const amount = (cents) => money(cents, product.currency, tradewind.locale);
  const quote = await tradewind.quote({ sku }).catch(() => undefined);
  const price = quote?.price ?? product.price;
  const list = element.querySelector("[data-list]");
  list.hidden = product.list <= price;
  list.textContent = amount(product.list);
  const where = quote ? `computed ${quote.by === "device" ? "on this device" : "at the edge"}, from nothing about you` : "the shop's price";
  const why = [...(quote?.reasons.map((reason) => sentence(reason, tradewind.locale)) ?? []), where];
  why.push(`lowest price of the 30 days before it began: ${amount((quote ?? product).lowest_30_days)}`);
  element.querySelector("[data-why]").replaceChildren(...why.map((text) => row("li", text)));
  const arrives = product.delivery;
  element.querySelector("[data-delivery]").textContent = arrives
    ? `Arrives ${delivery(arrives, tradewind.locale)}, in ${arrives.min_days} to ${arrives.max_days} days`
    : "Cannot be delivered here at the moment";
  const shown = element.querySelector("[data-price]");
  if (shown) shown.textContent = amount(price);
}

/** Shows a product without leaving the page: nothing is asked of the shop. */
async function look(sku) {
  const card = document.querySelector(`[data-sku="${CSS.escape(sku)}"]`);
  const title = card?.querySelector(".card-title")?.textContent ?? sku;
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", title);
  dialog.innerHTML = `<div class="inside"><h2></h2><p class="price"><span data-price></span> <s data-list hidden></s></p>
    <ul class="why" data-why></ul><p data-delivery class="delivery"></p>
    <p class="buttons"><button type="button" data-do="add">Add to cart</button>
    <a class="button" href="/product/${encodeURIComponent(sku)}">Open its page</a>
    <button type="button" class="quiet" data-close>Close</button></p></div>`;
  dialog.dataset.sku = sku;
  dialog.querySelector("h2").textContent = title;
  const picture = card?.querySelector(".picture")?.cloneNode(true);
  if (picture) dialog.prepend(picture);
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  if (!tradewind) return;
  await describe(tradewind, sku, dialog);
  await tradewind.track({ view: { sku } });
}

async function add(sku) {
  await cart.add(sku, tradewind);
  await tradewind?.track({ add_to_cart: { sku, quantity: 1 } });
  document.querySelector("dialog")?.close();
  toast("It is in your cart.");
}

function row(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

function toast(text) {
  document.querySelector(".toast")?.remove();
  const toast = row("div", text);
  toast.className = "toast";
  toast.setAttribute("role", "status");
  document.body.append(toast);
  setTimeout(() => toast.remove(), 4_000);
}

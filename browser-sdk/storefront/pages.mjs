// The shop's pages. What is in `<tradewind-slot>` and `<tradewind-price>` is the shop's own, and complete as it is.
import { card } from "./card.mjs";
import { departments, products, regions } from "./catalog.mjs";
import { escape, html, raw } from "./html.mjs";

const money = (cents) => new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" }).format(cents / 100);

/** The shop's own cards: its own prices, and what is bought most first. */
function cards(list, reason) {
  return list.map(({ sku, title, url, category, list, price }) => {
    const before = list > price ? money(list) : "";
    const values = { sku, title, url, category, price: money(price), list: before, delivery: "", reason };
    return raw(card.replace(/\{(\w+)\}/g, (_, name) => escape(values[name])));
  });
}

/** Cards of a list that is not ranked: each price may still be computed in the page. */
const priced = (list) =>
  cards(list, "").map((card, n) =>
    raw(String(card).replace(/<b>(.*?)<\/b>/, `<b><tradewind-price sku="${list[n].sku}">$1</tradewind-price></b>`)),
  );

const slot = (name, limit, list, reason, exclude = "") =>
  html`<tradewind-slot name="${name}" limit="${limit}" exclude="${exclude}" class="cards"
      >${cards(list.slice(0, limit), reason)}</tradewind-slot
    >`;

const picture = (category, className = "picture") =>
  html`<svg class="${className}" viewBox="0 0 96 72" aria-hidden="true"><use href="/pictures.svg#${category}" /></svg>`;

function layout({ region }, path, title, main) {
  const place = ({ code, name, state }) =>
    html`<option value="${code}" ${code === region.code && raw("selected")}>${name}, ${state}</option>`;
  return `<!doctype html>
${html`<html lang="en" data-tradewind-region="${region.code}">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>${title} · Harbour Market</title>
    <link rel="icon" href="/icon.svg" />
    <link rel="stylesheet" href="/shop.css" />
    <link rel="modulepreload" href="/tradewind/sdk/index.js" />
    <script type="module" src="/shop.js"></script>
  </head>
  <body>
    <a class="skip" href="#main">Skip to the products</a>
    <header class="top">
      <a class="brand" href="/"><svg viewBox="0 0 32 32" aria-hidden="true"><use href="/icon.svg#sail" /></svg>Harbour Market</a>
      <nav aria-label="Departments">
        ${departments.map(
          (name) =>
            html`<a href="/category/${name}" ${path === `/category/${name}` && raw('aria-current="page"')}>${name}</a>`,
        )}
      </nav>
      <form class="place" action="/region">
        <input type="hidden" name="back" value="${path}" />
        <label>Deliver to <select name="code">${regions.map(place)}</select></label>
        <button class="small quiet">Go</button>
      </form>
      <a class="cart-link" href="/cart">Cart <span class="count" data-cart-count hidden></span></a>
    </header>
    <div class="page">
      <main id="main">${main}</main>
      <aside class="panel" aria-label="What this page knows">
        <h2>What this page knows</h2>
        <p class="notice">Nothing: this is the shop's own page.</p>
      </aside>
    </div>
    <footer>
      A demonstration. Products, prices and sales are real, of a panel of households in 2017; costs, stock and warehouses
      are generated; pictures are drawn by department. Nothing is sold here.
    </footer>
  </body>
</html>`}`;
}

export function homePage(context) {
  return layout(
    context,
    "/",
    "Groceries",
    html`<section>
        <h1>For you</h1>
        <p class="lead">This page changes with the products you view, and only on this device.</p>
        ${slot("for-you", 8, products, "often bought")}
      </section>
      <section>
        <h2>Departments</h2>
        <ul class="departments">
          ${departments.map((name) => html`<li><a href="/category/${name}">${picture(name)}<span>${name}</span></a></li>`)}
        </ul>
      </section>
      <section>
        <h2>More to discover</h2>
        ${slot("discover", 4, products.slice(8), "often bought")}
      </section>`,
  );
}

export function categoryPage(context, name) {
  const list = products.filter(({ category }) => category === name);
  return layout(
    context,
    `/category/${name}`,
    name,
    html`<section>
        <h1>${name}</h1>
        <div class="cards">${priced(list.slice(0, 24))}</div>
      </section>
      <section>
        <h2>For you</h2>
        ${slot("for-you", 4, products, "often bought")}
      </section>`,
  );
}

export function productPage(context, product) {
  const { sku, title, category, list, price } = product;
  return layout(
    context,
    product.url,
    title,
    html`<nav class="trail" aria-label="Where you are"><a href="/">Groceries</a> › <a href="/category/${category}">${category}</a></nav>
      <article class="product" data-product="${sku}">
        ${picture(category, "picture large")}
        <div>
          <h1>${title}</h1>
          <p class="price"><tradewind-price sku="${sku}">${money(price)}</tradewind-price>
            <s data-list ${list <= price && raw("hidden")}>${money(list)}</s></p>
          <ul class="why" data-why aria-label="Why this price"></ul>
          <p data-delivery class="delivery"></p>
          <p class="buttons">
            <button type="button" data-do="add" data-sku="${sku}">Add to cart</button>
            <button type="button" class="quiet" data-do="dismiss" data-sku="${sku}">Not for me</button>
          </p>
          <p class="fine">Product ${sku}</p>
        </div>
      </article>
      <section>
        <h2>Goes well with it, and for you</h2>
        ${slot("with-product", 4, products.filter((other) => other.category === category && other !== product), "from the same department", sku)}
      </section>`,
  );
}

export function cartPage(context) {
  return layout(
    context,
    "/cart",
    "Cart",
    html`<section>
        <h1>Your cart</h1>
        <p data-cart-empty>There is nothing in it yet. It is kept on this device until you check out.</p>
        <form class="cart" method="post" action="/checkout" data-cart-form hidden>
          <table>
            <thead>
              <tr><th scope="col">Product</th><th scope="col">Units</th><th scope="col">Price</th><th scope="col">Sum</th><td></td></tr>
            </thead>
            <tbody data-cart-lines></tbody>
            <tfoot>
              <tr><th scope="row" colspan="3">Total</th><td data-cart-total></td><td></td></tr>
            </tfoot>
          </table>
          <input type="hidden" name="cart" />
          <p><button>Check out</button></p>
          <p class="fine">Only now does anything about you leave this device: what you order, where it goes, and the prices you were shown.</p>
        </form>
        <noscript><p>The cart takes scripts.</p></noscript>
      </section>
      <section>
        <h2>You may need too</h2>
        ${slot("with-cart", 4, products, "often bought")}
      </section>`,
  );
}

/** `outcome`: `{ ordered, title, text, lines: [{ title, quantity, text, good }], request? }` */
export function checkoutPage(context, outcome) {
  const line = ({ title, quantity, text, good }) =>
    html`<li class="${good ? "good" : "bad"}"><strong>${quantity} × ${title}</strong> ${text}</li>`;
  return layout(
    context,
    "/cart",
    "Checkout",
    html`<section data-ordered="${outcome.ordered ? "yes" : "no"}">
      <h1>${outcome.title}</h1>
      <p class="lead">${outcome.text}</p>
      <ul class="outcome">${outcome.lines.map(line)}</ul>
      ${outcome.request && html`<details><summary>What the warehouse is asked</summary><pre>${outcome.request}</pre></details>`}
      <p><a class="button" href="/">Back to the shop</a></p>
    </section>`,
  );
}

export function missingPage(context) {
  return layout(context, "/", "Not here", html`<h1>Not here</h1><p>There is no such page. <a href="/">To the shop</a></p>`);
}

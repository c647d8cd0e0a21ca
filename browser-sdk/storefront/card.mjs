/** A product in a slot, as the configuration's `card` has it: page, edge and origin fill in the same. */
export const card = [
  '<article class="card" data-sku="{sku}">',
  '<a class="card-link" href="{url}">',
  '<svg class="picture" viewBox="0 0 96 72" aria-hidden="true"><use href="/pictures.svg#{category}"/></svg>',
  '<strong class="card-title">{title}</strong></a>',
  '<p class="card-price"><b>{price}</b> <s>{list}</s></p>',
  '<p class="card-delivery">{delivery}</p>',
  '<p class="card-reason">{reason}</p>',
  '<p class="card-buttons"><button type="button" class="small" data-do="look">Quick look</button>',
  '<button type="button" class="small quiet" data-do="dismiss" aria-label="Not for me: {title}">Not for me</button></p>',
  "</article>",
].join("");

// The demo shop's products: those of the reference snapshot, which are real, with titles that people can read.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** The rows of a table of `models/snapshot`, by its head; a field may be in quotes. */
export function table(file) {
  const [head, ...rows] = readFileSync(join(root, "models/snapshot", file), "utf8").trim().split("\n");
  const fields = (line) => [...line.matchAll(/(?:^|,)(?:"([^"]*)"|([^,]*))/g)].map((found) => found[1] ?? found[2]);
  const names = fields(head);
  return rows.map((row) => Object.fromEntries(fields(row).map((value, n) => [names[n], value])));
}

/** Departments, and the categories of the data that belong to each; the last takes what is left. */
const DEPARTMENTS = [
  ["Fruit", /FRUIT|BERRIES|APPLES|GRAPES|CITRUS|MELONS|PEARS/],
  ["Frozen", /^FR(O)?ZE?N|FRZN|ICE CREAM|FROZEN/],
  ["Dairy", /MILK|CHEESE|YOGURT|EGGS|MARGARINE|BUTTER|CREAM/],
  ["Bakery", /BREAD|BAKED|BUNS|BAGEL|DONUT|CAKE|ROLLS|TORTILLA|DOUGH/],
  ["Meat", /BEEF|CHICKEN|PORK|BACON|SAUSAGE|HOT DOG|LUNCHMEAT|DELI MEATS|TURKEY|HAM|SEAFOOD|MEAT - MISC/],
  ["Drinks", /DRINK|DRNK|WATER|JUICE|BEER|WINE|COFFEE|TEA/],
  ["Snacks", /SNACK|CANDY|CRACKER|COOKIE|NUTS|POPCORN|CHOC/],
  ["Vegetables", /VEGETABLE|SALAD|ONION|POTATO|PEPPER|TOMATO|CARROT|BROCCOLI|MUSHROOM|HERBS|CORN|CUCUMBER|ORGANICS/],
  ["Household", /TISSUE|TOWEL|DETERGENT|CLEANER|BAGS|PAPER|SOAP|BATTER|FOIL|DISH|BLEACH|LAUNDRY|PET|CAT|DOG|DIAPER|HAIR|ORAL/],
  ["Pantry", /./],
];

/** What the data abbreviates. */
const WORDS = {
  sft: "soft", drnk: "drink", drnks: "drinks", btl: "bottle", sngl: "single", srv: "serve", frzn: "frozen",
  refrgratd: "chilled", choc: "chocolate", veg: "vegetable", br: "bread", w: "with", "w/": "with ", pk: "pack",
  saus: "sausage", chs: "cheese", chse: "cheese", flvr: "flavour", flvrd: "flavoured", grnd: "ground", bnls: "boneless",
  btls: "bottles", carb: "sparkling", incl: "", ex: "", "excl": "", dom: "domestic", ss: "single serve",
  org: "organic", frsh: "fresh", sld: "salad", drsng: "dressing", sndwch: "sandwich", ckn: "chicken", chix: "chicken",
  bf: "beef", pnt: "peanut", crm: "cream", yog: "yogurt", jce: "juice", juic: "juice", mnr: "minor", prem: "premium",
  mainstream: "", fluid: "", pot: "potato", tort: "tortilla", reg: "regular", convntnl: "", conventional: "",
  sgl: "single", "sv/vend": "serve", mach: "", "chip/p": "chips",
  "grpfruit": "grapefruit", "grprft": "grapefruit", "vnlla": "vanilla", "vnla": "vanilla", "strwbrry": "strawberry",
};

/** A title from the data's description: “Sft drnk 2 liter btl carb incl, 2 l” is “Soft drink 2 liter bottle · 2 l”. */
export function title(name, category) {
  const [what = name, ...sizes] = name.split(/,\s*/);
  const words = what
    .replace(/^[\w\s]{2,8}:\s*/, "")
    .replace(/\([^)]*\)?/g, " ")
    .replace(/(?<=\w)&(?=\w)/g, " & ")
    .replace(/\b(milk) white only\b/i, "$1")
    .split(/\s+/)
    .map((word) => WORDS[word.toLowerCase().replace(/[.:]$/, "")] ?? word);
  const text = words.join(" ").replace(/\s+/g, " ").replace(/^[-–:\s]+|[-–:\s]+$/g, "") || what;
  // What is one word says too little without its category.
  const kind = /^(BEEF|PORK|CHICKEN|DELI|SALAD)/.exec(category)?.[0].toLowerCase();
  const full = !kind || text.includes(" ") || text.toLowerCase().includes(kind) ? text : `${kind}, ${text.toLowerCase()}`;
  // The size of a case says nothing of what is bought from it.
  const size = sizes.filter((part) => /\d/.test(part) && !/^\d\d[\d-]*\s*(lb|ct)$/.test(part)).join(", ");
  const own = sizes.includes("store brand") ? "own brand" : "";
  const sentence = full.charAt(0).toUpperCase() + full.slice(1);
  return [sentence, size.replace(/^\(\d+\)\s*/, "").replace(/^l\s+/, ""), own].filter(Boolean).join(" · ");
}

const department = (category) => DEPARTMENTS.find(([, pattern]) => pattern.test(category))[0];

/** The moment of the demo: the afternoon of the first day for which the reference snapshot holds. */
export const AT = "2017-12-04T14:00:00Z";

/** The price of each product that was set last before the moment. */
const prices = new Map(table("prices.csv").filter(({ since }) => since <= AT).map(({ sku, price }) => [sku, Number(price)]));

/** The products, in the snapshot's order: `{ sku, title, category, url, list, price }`, prices in cents. */
export const products = table("products.csv").map(({ sku, name, category, list }) => ({
  sku,
  title: title(name, category),
  category: department(category),
  url: `/product/${sku}`,
  list: Number(list),
  price: prices.get(sku) ?? Number(list),
}));

/** The departments that have products. */
export const departments = DEPARTMENTS.map(([name]) => name);

/** Where the shop delivers: `{ code, name, state, latitude, longitude }`. */
export const regions = table("regions.csv").map((region) => ({
  ...region,
  latitude: Number(region.latitude),
  longitude: Number(region.longitude),
}));

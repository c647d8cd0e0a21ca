/** The profile on this device, and products outside the page's slice: an IndexedDB database, which exists only after consent. */

import { TradewindError } from "./error.js";
import type { HandedProduct } from "./types.js";

const DATABASE = "tradewind";
const STORE = "shopper";
const PROFILE = "profile";
const PRODUCTS = "products";
/** Maximum number of stored products; the oldest are removed. */
const MOST = 1_000;

/** Stored products, by SKU. */
export type Products = Map<string, HandedProduct>;

/** Maximum milliseconds of an operation of the browser's storage. */
const LIMIT = 1_000;

/** Result of the browser's storage, which may never come; `late` is called then. */
function answered<T>(
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
  late: () => void = () => {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new TradewindError("storage", `the browser's storage does not answer within ${LIMIT} ms`));
      late();
    }, LIMIT);
    const ended =
      <V>(end: (value: V) => void) =>
      (value: V): void => {
        clearTimeout(timer);
        end(value);
      };
    start(ended(resolve), ended(reject));
  });
}

/** Opens the database; `undefined` if it does not exist and must not be created. */
function open(create: boolean): Promise<IDBDatabase | undefined> {
  let late = false;
  return answered(
    (resolve, reject) => {
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => {
        // An aborted upgrade leaves nothing behind, so that checking for consent stores nothing.
        if (create && !late) request.result.createObjectStore(STORE);
        else request.transaction?.abort();
      };
      request.onsuccess = () => {
        if (late) request.result.close();
        else resolve(request.result);
      };
      request.onerror = (event) => {
        event.preventDefault();
        if (!create && request.error?.name === "AbortError") resolve(undefined);
        else reject(request.error);
      };
    },
    () => (late = true),
  );
}

/** Runs `work` in its own transaction; returns `false` without a database. */
async function within(
  mode: IDBTransactionMode,
  create: boolean,
  work: (store: IDBObjectStore) => void,
): Promise<boolean> {
  const database = await open(create);
  if (!database) return false;
  try {
    const transaction = database.transaction(STORE, mode);
    let failure: unknown;
    await answered<void>(
      (resolve, reject) => {
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(failure ?? transaction.error);
        try {
          work(transaction.objectStore(STORE));
        } catch (error) {
          failure = error;
          transaction.abort();
        }
      },
      () => {
        try {
          transaction.abort();
        } catch {
          // It has just ended by itself.
        }
      },
    );
    return true;
  } finally {
    database.close();
  }
}

/** Whether consent was given on this device, in this tab or another. */
export async function exists(): Promise<boolean> {
  const database = await open(false);
  database?.close();
  return database !== undefined;
}

/** Creates the database. */
export async function create(): Promise<void> {
  await within("readonly", true, () => {});
}

/** Reads a value; `undefined` if none exists. */
async function get<T>(key: string): Promise<T | undefined> {
  let value: T | undefined;
  await within("readonly", false, (store) => {
    const request = store.get(key);
    request.onsuccess = () => (value = request.result as T | undefined);
  });
  return value;
}

/** Reads the profile; `undefined` if none exists. */
export const read = (): Promise<Uint8Array | undefined> => get(PROFILE);

/** Reads the stored products. */
export const products = async (): Promise<Products> => (await get<Products>(PRODUCTS)) ?? new Map();

/** Adds products. The neighbours of a product stay known if it comes again without them. */
export async function add(handed: HandedProduct[]): Promise<void> {
  await within("readwrite", false, (store) => {
    const request = store.get(PRODUCTS);
    request.onsuccess = () => {
      const products: Products = (request.result as Products | undefined) ?? new Map();
      for (const product of handed) {
        const { sku, neighbours } = product.row;
        const known = products.get(sku)?.row.neighbours ?? [];
        products.delete(sku);
        const row = neighbours.length ? product.row : { ...product.row, neighbours: known };
        products.set(sku, { ...product, row });
      }
      for (const sku of [...products.keys()].slice(0, -MOST)) products.delete(sku);
      store.put(products, PRODUCTS);
    };
  });
}

/**
 * Replaces the profile by the result of `change`, in one transaction, so that no other tab's change is lost.
 * Returns `false` if consent was withdrawn in the meantime, in another tab.
 */
export async function update(change: (profile: Uint8Array | undefined) => Uint8Array): Promise<boolean> {
  let failure: unknown;
  try {
    return await within("readwrite", false, (store) => {
      const request = store.get(PROFILE);
      request.onsuccess = () => {
        try {
          store.put(change(request.result as Uint8Array | undefined), PROFILE);
        } catch (error) {
          failure = error;
          store.transaction.abort();
        }
      };
    });
  } catch (error) {
    throw failure ?? error;
  }
}

/** Erases the profile. */
export async function erase(): Promise<void> {
  await within("readwrite", false, (store) => store.clear());
}

/** Deletes the database. */
export async function remove(): Promise<void> {
  // The content first, because an open database in another tab delays the deletion.
  await erase();
  await answered<void>((resolve, reject) => {
    const request = indexedDB.deleteDatabase(DATABASE);
    request.onsuccess = request.onblocked = () => resolve();
    request.onerror = () => reject(request.error);
  });
}

/** The profile on this device: one IndexedDB database, which does not exist before there is consent. */

import { TradewindError } from "./error.js";

const DATABASE = "tradewind";
const STORE = "shopper";
const PROFILE = "profile";

/** Milliseconds that the browser's storage may take to answer. */
const LIMIT = 1_000;

/** An answer of the browser's storage, which may never come; `late` is called then. */
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

/** The database; `undefined` where there is none and none may be made. */
function open(create: boolean): Promise<IDBDatabase | undefined> {
  let late = false;
  return answered(
    (resolve, reject) => {
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => {
        // Aborted, it leaves nothing behind: to look whether there is consent stores nothing.
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

/** Runs `work` in a transaction of its own. `false` where there is no database. */
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

/** Makes room for a profile. */
export async function create(): Promise<void> {
  await within("readonly", true, () => {});
}

/** The profile; `undefined` where there is none. */
export async function read(): Promise<Uint8Array | undefined> {
  let profile: Uint8Array | undefined;
  await within("readonly", false, (store) => {
    const request = store.get(PROFILE);
    request.onsuccess = () => (profile = request.result as Uint8Array | undefined);
  });
  return profile;
}

/**
 * Replaces the profile by what `change` makes of it, in one transaction, so that no other tab's change is lost.
 * `false` where consent was withdrawn in the meantime, in another tab.
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

/** Forgets the profile. */
export async function erase(): Promise<void> {
  await within("readwrite", false, (store) => store.clear());
}

/** Leaves nothing on the device. */
export async function remove(): Promise<void> {
  // First the content: a tab that has the database open delays what follows.
  await erase();
  await answered<void>((resolve, reject) => {
    const request = indexedDB.deleteDatabase(DATABASE);
    request.onsuccess = request.onblocked = () => resolve();
    request.onerror = () => reject(request.error);
  });
}

// The profile of a shopper who wants the edge to know it: in a cookie that only the edge can read.
//
// A cookie needs no storage, no name for the shopper and no way to a place where the storage is; to erase it is to
// forget it. It holds AES-GCM of the profile under the secret `PROFILE_KEY`, and with it when the shopper agreed, when
// it was written, and a random number for the agreement. To take an agreement back is to note that number in KV, until
// every cookie that could have it is too old: so a copy of the cookie is worth nothing either.
import { cookie } from "./headers.mjs";
import { inside } from "./wasm.mjs";

const NAME = "tw_profile";
/** The most bytes of the cookie, name and value. */
const MAX_COOKIE = 2_500;
/** For how many seconds a profile is kept after the last visit with an event: half a year. */
const MAX_AGE = 15_552_000;
/** For how many seconds KV may answer from what it read before, which is the least it allows. */
const KV_AGE = 60;
/** What is encrypted is this, in this version; anything else does not open. */
const WHAT = new TextEncoder().encode("tradewind profile 2");
const IV = 12;
const TAG = 16;
/** The agreement's number, when it was made, and when this was written. */
const HEAD = 8 + 8 + 8;
/** The most bytes of a profile. */
export const MOST = Math.floor((MAX_COOKIE - NAME.length - 1) / 4) * 3 - IV - TAG - HEAD;

/** Agreements that were taken back in this isolate, which KV may not say yet. */
const revoked = new Set();
const MAX_REVOKED = 10_000;

/** Whether the browser says that its user's data may not be kept or sold (Global Privacy Control). */
export const isRefused = (request) => request.headers.get("sec-gpc")?.trim() === "1";

/** The profile that a request brings, if it is one that the edge has written, and its agreement holds. Never throws. */
export async function read(request, env) {
  if (isRefused(request)) return undefined;
  try {
    const found = await open(request, env);
    return found && !(await isRevoked(found.agreement, env)) ? found : undefined;
  } catch (error) {
    console.error(`tradewind: a profile cannot be read: ${error.message}`);
    return undefined;
  }
}

/** The header that has a browser keep a profile, under the agreement that it was read with or a new one. */
export async function keep(bytes, known, env) {
  const now = Date.now();
  const iv = crypto.getRandomValues(new Uint8Array(IV));
  const agreement = known?.agreement ?? hex(crypto.getRandomValues(new Uint8Array(8)));
  const plain = new Uint8Array(HEAD + bytes.length);
  const head = new DataView(plain.buffer);
  head.setBigUint64(0, BigInt(`0x${agreement}`));
  head.setFloat64(8, known?.agreed ?? now);
  head.setFloat64(16, now);
  plain.set(bytes, HEAD);
  const key = await imported(secret(env));
  const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: WHAT }, key, plain));
  return header(base64([...iv, ...sealed]), MAX_AGE);
}

/** The header that has a browser forget. */
export const forget = () => header("", 0);

/** Takes back the agreement of the cookie that a request brings, wherever there is a copy of it. */
export async function revoke(request, env) {
  const found = await open(request, env).catch(() => undefined);
  if (!found) return;
  if (revoked.size >= MAX_REVOKED) revoked.clear();
  revoked.add(found.agreement);
  // A cookie that is written at this very moment may be a little younger.
  await env.CONFIG.put(noted(found.agreement), "", { expirationTtl: MAX_AGE + 86_400 });
}

/** The secret, or throws what is wrong with it. */
export function secret(env, name = "PROFILE_KEY") {
  const digits = env[name] ?? "";
  if (/^[0-9a-f]{64}$/i.test(digits)) return digits;
  throw inside(
    `the secret \`${name}\` is not 64 hexadecimal digits: set it with \`wrangler secret put ${name}\`, in development ` +
      `with \`--var ${name}:DIGITS\``,
  );
}

/** What a cookie says, if it opens and is not too old. */
async function open(request, env) {
  const value = cookie(request, NAME);
  if (!value || !/^[\w-]+$/.test(value) || value.length > MAX_COOKIE) return undefined;
  const sealed = Uint8Array.from(atob(value.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  const iv = sealed.subarray(0, IV);
  // The key before the present one goes on opening, so that another key forgets nobody.
  const secrets = [secret(env), ...(env.PROFILE_KEY_PREVIOUS ? [secret(env, "PROFILE_KEY_PREVIOUS")] : [])];
  for (const digits of secrets) {
    const key = await imported(digits);
    const how = { name: "AES-GCM", iv, additionalData: WHAT };
    const plain = await crypto.subtle.decrypt(how, key, sealed.subarray(IV)).catch(() => undefined);
    if (plain === undefined || plain.byteLength < HEAD) continue;
    const head = new DataView(plain);
    const [agreed, written] = [head.getFloat64(8), head.getFloat64(16)];
    if (Date.now() - written > MAX_AGE * 1_000) return undefined;
    const agreement = head.getBigUint64(0).toString(16).padStart(16, "0");
    return { agreement, agreed, bytes: new Uint8Array(plain, HEAD) };
  }
  return undefined;
}

async function isRevoked(agreement, env) {
  return revoked.has(agreement) || (await env.CONFIG.get(noted(agreement), { cacheTtl: KV_AGE })) !== null;
}

const noted = (agreement) => `revoked/${agreement}`;

const header = (value, age) => `${NAME}=${value}; Path=/; Max-Age=${age}; HttpOnly; Secure; SameSite=Lax`;

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const base64 = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

function imported(digits) {
  const bytes = Uint8Array.from(digits.match(/../g), (pair) => parseInt(pair, 16));
  return crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
}

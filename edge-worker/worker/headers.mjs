// Headers of a filled page.

/**
 * Headers of the origin that a filled page keeps. All others are removed: any vendor's permissions for caches, and
 * validators; digests and signatures, whose bytes have changed; and lengths and encodings, which the platform writes.
 */
const KEPT = new Set([
  "accept-ch",
  "access-control-allow-credentials",
  "access-control-allow-origin",
  "access-control-expose-headers",
  "alt-svc",
  "clear-site-data",
  "content-disposition",
  "content-language",
  "content-security-policy",
  "content-security-policy-report-only",
  "content-type",
  "critical-ch",
  "cross-origin-embedder-policy",
  "cross-origin-embedder-policy-report-only",
  "cross-origin-opener-policy",
  "cross-origin-opener-policy-report-only",
  "cross-origin-resource-policy",
  "date",
  "document-isolation-policy",
  "document-policy",
  "expect-ct",
  "feature-policy",
  "integrity-policy",
  "integrity-policy-report-only",
  "link",
  "nel",
  "origin-agent-cluster",
  "p3p",
  "permissions-policy",
  "permissions-policy-report-only",
  "referrer-policy",
  "refresh",
  "report-to",
  "reporting-endpoints",
  "server",
  "server-timing",
  "set-login",
  "sourcemap",
  "speculation-rules",
  "strict-transport-security",
  "supports-loading-mode",
  "timing-allow-origin",
  "tk",
  "vary",
  "via",
  "x-content-type-options",
  "x-correlation-id",
  "x-csrf-token",
  "x-dns-prefetch-control",
  "x-download-options",
  "x-frame-options",
  "x-permitted-cross-domain-policies",
  "x-powered-by",
  "x-request-id",
  "x-robots-tag",
  "x-ua-compatible",
  "x-xss-protection",
]);

/** Headers with which htmx, Turbo, Inertia, Unpoly and similar libraries control a page fetched by a script. */
const OF_SCRIPTS = /^(hx|turbo|x-inertia|x-pjax|x-turbolinks|x-up)(-|$)/;

/** Headers of a filled page, for a shopper or for a region. */
export function filled(origin, { isPersonal, region }) {
  const headers = new Headers();
  for (const [name, value] of origin) if (KEPT.has(name) || OF_SCRIPTS.test(name)) headers.append(name, value);
  for (const cookie of origin.getSetCookie()) headers.append("set-cookie", cookie);
  // The stricter of both rules applies: the origin can forbid more, but not allow more.
  const stored = !isPersonal && !directives(origin).has("no-store");
  headers.set("cache-control", stored ? "private, no-cache" : "private, no-store");
  tell(headers, `${isPersonal ? "edge" : "device"} ${region}`);
  return headers;
}

/** Adds the outcome of a page to `Server-Timing`. */
export function tell(headers, what) {
  headers.append("server-timing", `tradewind;desc="${what}"`);
}

/** Names of the directives of `Cache-Control`. */
export function directives(headers) {
  // Quoted text may contain commas, and no directives.
  const text = (headers.get("cache-control") ?? "").replace(/"(?:[^"\\]|\\.)*"?/g, "");
  return new Set(text.split(",").map((directive) => directive.split("=")[0].trim().toLowerCase()));
}

/** Media type: `text/html` with its `charset`, in lower case and without quotes. */
export function mediaType(headers) {
  const [type, ...parameters] = (headers.get("content-type") ?? "").split(";");
  const charset = parameters.map((parameter) => /^\s*charset=\s*(?:"((?:[^"\\]|\\.)*)"?|(.*?))\s*$/i.exec(parameter)).find(Boolean);
  return { type: type.trim().toLowerCase(), charset: charset && (charset[1] ?? charset[2]).replace(/\\(.)/g, "$1") };
}

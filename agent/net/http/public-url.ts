/**
 * Formats URLs for logs and errors: without user info and query, which may hold credentials and signatures.
 */

export function formatPublicUrl(url: URL | string): string {
  const parsed = typeof url === "string" ? URL.parse(url) : url;
  // An invalid URL may hold a password as well: show its scheme only.
  if (!parsed) return /^[a-z][a-z0-9+.-]*:/i.exec(String(url))?.[0] ?? "";
  const host = parsed.host ? `//${parsed.host}` : "";
  return `${parsed.protocol}${host}${parsed.pathname}${parsed.search ? "?…" : ""}`;
}

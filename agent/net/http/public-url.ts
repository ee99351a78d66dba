/**
 * URLs as they may stand in logs and errors: without user-info and query, where credentials and signatures live.
 */

export function formatPublicUrl(url: URL | string): string {
  const parsed = typeof url === "string" ? URL.parse(url) : url;
  // What does not parse may still hold a password: show nothing but its scheme.
  if (!parsed) return /^[a-z][a-z0-9+.-]*:/i.exec(String(url))?.[0] ?? "";
  const host = parsed.host ? `//${parsed.host}` : "";
  return `${parsed.protocol}${host}${parsed.pathname}${parsed.search ? "?…" : ""}`;
}

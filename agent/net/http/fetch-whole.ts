/**
 * Reads a small response whole, within a bound: manifests, tokens, listings.
 */
import type { HttpClient, HttpRequest, HttpResponse } from "./http-message.ts";

export async function fetchWhole(
  http: HttpClient,
  url: string,
  request: HttpRequest & { maxBytes: number },
): Promise<{ response: HttpResponse; bytes: Buffer }> {
  const response = await http.fetch(url, request);
  const chunks: Buffer[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  return { response, bytes: Buffer.concat(chunks) };
}

/** Downloads through a proxy: which requests it gets, in which form, and the errors that it causes. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createHttpClient } from "../../../agent/net/http/http-client.ts";
import { fetchBytes } from "../../../agent/net/http/http-message.ts";
import { type ForwardProxy, startForwardProxy } from "../../servers/forward-proxy.ts";
import {
  answer,
  type MisbehavingServer,
  readCertificate,
  startServer,
} from "../../servers/misbehaving-server.ts";

let secure: MisbehavingServer;
let plain: MisbehavingServer;
const proxies: ForwardProxy[] = [];

beforeAll(async () => {
  secure = await startServer(answer(200, {}, "secure"), { certificate: "good" });
  plain = await startServer(answer(200, {}, "plain"));
});
afterAll(async () => {
  await Promise.all([...proxies, secure, plain].map((server) => server.close()));
});

const addressOf = ({ host }: MisbehavingServer) => {
  const [name = "", port] = host.split(":");
  return { host: name, port: Number(port) };
};

async function startProxy(target: MisbehavingServer, refusal?: number): Promise<ForwardProxy> {
  const proxy = await startForwardProxy(addressOf(target), refusal === undefined ? {} : { refusal });
  proxies.push(proxy);
  return proxy;
}

async function get(url: string, by: Record<string, string>, insecure: string[] = []): Promise<string> {
  const http = createHttpClient({
    insecureHosts: insecure,
    extraCa: readCertificate("ca.pem"),
    log: { warn: () => {} },
    retry: { budgetMs: 300, firstDelayMs: 20 },
    proxies: by,
  });
  try {
    return (await fetchBytes(http, url, { maxBytes: 1000 })).bytes.toString();
  } finally {
    await http.close();
  }
}

describe("the proxy of a scheme", () => {
  it("sends HTTPS through a tunnel", async () => {
    const proxy = await startProxy(secure);
    expect(await get("https://far.test:8443/x", { https: proxy.url }, ["far.test"])).toBe("secure");
    expect(proxy.asked).toEqual(["CONNECT far.test:8443"]);
  });

  it("sends whole requests for plain HTTP", async () => {
    const proxy = await startProxy(plain);
    expect(await get("http://far.test/x?y", { http: proxy.url }, ["far.test"])).toBe("plain");
    expect(proxy.asked).toEqual(["GET http://far.test/x?y"]);
  });

  it("connects directly for a scheme without a proxy and to this machine itself", async () => {
    const proxy = await startProxy(secure);
    expect(await get(`${plain.origin}/`, { https: proxy.url, http: proxy.url }, ["127.0.0.1"])).toBe("plain");
    expect(await get(`${secure.origin}/`, { http: proxy.url, https: proxy.url }, ["127.0.0.1"])).toBe(
      "secure",
    );
    expect(proxy.asked).toEqual([]);
  });
});

describe("errors", () => {
  it("checks the certificate of a server behind the proxy", async () => {
    const proxy = await startProxy(secure);
    // The certificate is for another name.
    const asking = get("https://far.test/", { https: proxy.url });
    await expect(asking).rejects.toMatchObject({ code: expect.stringMatching(/^FETCH_TLS_/) });
  });

  it.each([403, 407, 502])("reports a proxy that responds with status %s", async (refusal) => {
    const proxy = await startProxy(secure, refusal);
    await expect(get("https://far.test/", { https: proxy.url })).rejects.toMatchObject({
      code: "FETCH_PROXY_FAILED",
    });
  });

  it("reports an unreachable proxy", async () => {
    const asking = get("https://far.test/", { https: "http://127.0.0.1:1" });
    await expect(asking).rejects.toMatchObject({ code: "FETCH_UNREACHABLE" });
  });
});

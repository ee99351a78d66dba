/** Downloads by a proxy: which go there, what it is asked, and what is said when it is in the way. */

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

describe("by scheme", () => {
  it("HTTPS goes through a tunnel", async () => {
    const proxy = await startProxy(secure);
    expect(await get("https://far.test:8443/x", { https: proxy.url }, ["far.test"])).toBe("secure");
    expect(proxy.asked).toEqual(["CONNECT far.test:8443"]);
  });

  it("plain HTTP is asked for whole", async () => {
    const proxy = await startProxy(plain);
    expect(await get("http://far.test/x?y", { http: proxy.url }, ["far.test"])).toBe("plain");
    expect(proxy.asked).toEqual(["GET http://far.test/x?y"]);
  });

  it("a scheme without a proxy and this machine itself are asked directly", async () => {
    const proxy = await startProxy(secure);
    expect(await get(`${plain.origin}/`, { https: proxy.url, http: proxy.url }, ["127.0.0.1"])).toBe("plain");
    expect(await get(`${secure.origin}/`, { http: proxy.url, https: proxy.url }, ["127.0.0.1"])).toBe(
      "secure",
    );
    expect(proxy.asked).toEqual([]);
  });
});

describe("what goes wrong", () => {
  it("a certificate is checked behind the proxy too", async () => {
    const proxy = await startProxy(secure);
    // The certificate is for another name.
    const asking = get("https://far.test/", { https: proxy.url });
    await expect(asking).rejects.toMatchObject({ code: expect.stringMatching(/^FETCH_TLS_/) });
  });

  it.each([403, 407, 502])("a proxy that answers with %s", async (refusal) => {
    const proxy = await startProxy(secure, refusal);
    await expect(get("https://far.test/", { https: proxy.url })).rejects.toMatchObject({
      code: "FETCH_PROXY_FAILED",
    });
  });

  it("a proxy that is not there", async () => {
    const asking = get("https://far.test/", { https: "http://127.0.0.1:1" });
    await expect(asking).rejects.toMatchObject({ code: "FETCH_UNREACHABLE" });
  });
});

import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../../agent/errors.ts";
import {
  answer,
  type CertificateName,
  readCertificate,
  redirect,
  serveFile,
  startServer,
  stayQuiet,
} from "../../servers/misbehaving-server.ts";
import { CONTENT, createClient, download, ETAG, hash, serve } from "./http-downloads.ts";

describe("access to", () => {
  const cases: {
    name: string;
    certificate?: CertificateName;
    insecure?: "host" | "host:port" | "other port";
    withCa?: boolean;
    code?: ErrorCode;
  }[] = [
    { name: "plain HTTP", code: "FETCH_INSECURE_REFUSED" },
    { name: "plain HTTP to an insecure host", insecure: "host" },
    { name: "plain HTTP to an insecure host and port", insecure: "host:port" },
    {
      name: "plain HTTP to an insecure host with another port",
      insecure: "other port",
      code: "FETCH_INSECURE_REFUSED",
    },
    { name: "a certificate of an unknown authority", certificate: "good", code: "FETCH_TLS_UNTRUSTED" },
    { name: "a certificate of the extra authority", certificate: "good", withCa: true },
    {
      name: "a certificate of an unknown authority, insecure host",
      certificate: "good",
      insecure: "host:port",
    },
    {
      name: "a self-signed certificate",
      certificate: "self-signed",
      withCa: true,
      code: "FETCH_TLS_UNTRUSTED",
    },
    { name: "a self-signed certificate, insecure host", certificate: "self-signed", insecure: "host" },
    {
      name: "a certificate for another name",
      certificate: "other-name",
      withCa: true,
      code: "FETCH_TLS_UNTRUSTED",
    },
    { name: "an expired certificate", certificate: "expired", withCa: true, code: "FETCH_TLS_CLOCK" },
    { name: "a certificate of the future", certificate: "future", withCa: true, code: "FETCH_TLS_CLOCK" },
  ];
  test.each(cases)("$name", async ({ certificate, insecure, withCa, code }) => {
    const server = await serve(serveFile(CONTENT), certificate && { certificate });
    const entries = { host: "127.0.0.1", "host:port": server.host, "other port": "127.0.0.1:1" };
    const client = createClient({
      insecureHosts: insecure ? [entries[insecure]] : [],
      ...(withCa && { extraCa: readCertificate("ca.pem") }),
    });
    const outcome = await download(`${server.origin}/file`, {}, client);
    expect(outcome.code, outcome.error?.message).toBe(code);
    if (!code) expect(hash(outcome.bytes)).toBe(hash(CONTENT));
  });

  test("TLS to a plain HTTP server fails", async () => {
    const server = await serve(serveFile(CONTENT));
    const { code } = await download(`https://${server.host}/file`);
    expect(code).toBe("FETCH_TLS_FAILED");
  });

  test("a redirect from HTTPS to HTTP is refused", async () => {
    const plain = await serve(serveFile(CONTENT));
    const secure = await serve(redirect(`http://localhost:${plain.host.split(":")[1]}/file`), {
      certificate: "good",
    });
    const extraCa = readCertificate("ca.pem");
    const refused = await download(`${secure.origin}/file`, {}, createClient({ insecureHosts: [], extraCa }));
    expect(refused.code).toBe("FETCH_REDIRECT_REFUSED");
    const allowed = await download(
      `${secure.origin}/file`,
      {},
      createClient({ insecureHosts: ["localhost"], extraCa }),
    );
    expect(hash(allowed.bytes)).toBe(hash(CONTENT));
  });

  test.each([
    { host: "plain HTTP", certificate: undefined, insecure: true, scheme: "http" },
    { host: "HTTPS", certificate: "good" as const, insecure: true, scheme: "https" },
    { host: "a host that is not insecure", certificate: undefined, insecure: false, scheme: "https" },
  ])("findOrigin: $host", async ({ certificate, insecure, scheme }) => {
    const server = await serve(answer(404), certificate && { certificate });
    const { http } = createClient({ insecureHosts: insecure ? [server.host] : [] });
    expect(await http.findOrigin(server.host)).toBe(`${scheme}://${server.host}`);
  });

  test("findOrigin reports an unreachable host", async () => {
    const server = await startServer(stayQuiet);
    await server.close();
    const { http, lines } = createClient();
    await expect(http.findOrigin(server.host)).rejects.toMatchObject({ code: "FETCH_UNREACHABLE" });
    expect(lines.length).toBeGreaterThan(0);
  });
});

describe("credentials", () => {
  const secrets = { authorization: "Basic c2VjcmV0", cookie: "id=secret", "x-auth-token": "secret" };

  test("follow a redirect on the same origin", async () => {
    const server = await serve([redirect("/other"), serveFile(CONTENT)]);
    await download(`${server.origin}/file`, { headers: secrets });
    expect(server.requests[1]?.headers).toMatchObject(secrets);
  });

  test("are not sent after a redirect to another origin, nor after one back", async () => {
    const home = await serve([]);
    const away = await serve(redirect(`${home.origin}/back`));
    await home.close();
    const port = Number(home.host.split(":")[1]);
    const again = await serve([redirect(`${away.origin}/away`), serveFile(CONTENT)], { port });
    const outcome = await download(`${again.origin}/file`, {
      headers: { ...secrets, accept: "x/y" },
      authorize: async () => ({ authorization: "Bearer secret", "x-amz-security-token": "secret" }),
      range: { start: 5, end: 10 },
    });
    expect(outcome.bytes).toEqual(CONTENT.subarray(5, 10));
    for (const request of [away.requests[0], again.requests[1]]) {
      expect(JSON.stringify(request?.headers)).not.toContain("secret");
      expect(request?.headers).toMatchObject({ accept: "x/y", range: "bytes=5-9" });
    }
  });

  test("are renewed once after a 401, and for the rest of an interrupted download", async () => {
    const unauthorized = answer(401, { "www-authenticate": "Bearer" });
    const server = await serve([
      unauthorized,
      serveFile(CONTENT, { etag: ETAG, after: 1_000_000, fault: "reset" }),
      unauthorized,
      serveFile(CONTENT, { etag: ETAG }),
    ]);
    let issued = 0;
    const outcome = await download(`${server.origin}/file`, {
      authorize: async ({ challenge }) => ({ authorization: `Bearer ${challenge ? ++issued : issued}` }),
    });
    expect(hash(outcome.bytes)).toBe(hash(CONTENT));
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer 0",
      "Bearer 1",
      "Bearer 1",
      "Bearer 2",
    ]);
  });
});

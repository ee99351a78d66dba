/** WWW-Authenticate headers and auth.json files, healthy and broken. */
import { describe, expect, test } from "vitest";
import { parseAuthChallenges } from "../../../agent/oci/auth-challenge.ts";
import { parseAuthFile } from "../../../agent/oci/auth-file.ts";

describe("challenges", () => {
  test.each([
    ['Basic realm="Registry"', [{ scheme: "basic", parameters: { realm: "Registry" } }]],
    ["basic", [{ scheme: "basic", parameters: {} }]],
    [
      'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
      [
        {
          scheme: "bearer",
          parameters: {
            realm: "https://auth.example/token",
            service: "registry.example",
            scope: "repository:a/b:pull,push",
          },
        },
      ],
    ],
    [
      'Negotiate, Basic realm="a", Bearer realm="b" , error=invalid_token',
      [
        { scheme: "negotiate", parameters: {} },
        { scheme: "basic", parameters: { realm: "a" } },
        { scheme: "bearer", parameters: { realm: "b", error: "invalid_token" } },
      ],
    ],
    [
      'NTLM TlRMTVNTUAAB==, Basic realm="a \\"quoted\\", comma"',
      [
        { scheme: "ntlm", parameters: {} },
        { scheme: "basic", parameters: { realm: 'a "quoted", comma' } },
      ],
    ],
    ['BEARER Realm = "x" ,, service=y', [{ scheme: "bearer", parameters: { realm: "x", service: "y" } }]],
    ['Bearer realm="first",realm="second"', [{ scheme: "bearer", parameters: { realm: "first" } }]],
    ['Bearer realm="open', [{ scheme: "bearer", parameters: {} }]],
    ["", []],
    [", ,", []],
    ["=x", []],
    ["\u00e9", []],
  ])("%s", (header, expected) => {
    expect(parseAuthChallenges(header)).toEqual(expected);
  });
});

describe("auth.json", () => {
  const encode = (text: string) => Buffer.from(text).toString("base64");
  const parse = (auths: unknown) => parseAuthFile(Buffer.from(JSON.stringify({ auths })));

  test.each([
    [
      "the host",
      { "farm:5000": { auth: encode("u:p") } },
      "farm:5000",
      "a/b",
      { username: "u", password: "p" },
    ],
    [
      "docker's URL",
      { "https://farm/v1/": { auth: encode("u:p") } },
      "farm",
      "a",
      { username: "u", password: "p" },
    ],
    [
      "a password with colons",
      { farm: { auth: encode("u:p:q") } },
      "farm",
      "a",
      { username: "u", password: "p:q" },
    ],
    [
      "the longest prefix",
      { farm: { auth: encode("u:p") }, "farm/a": { auth: encode("v:q") } },
      "farm",
      "a/b",
      { username: "v", password: "q" },
    ],
    ["another namespace", { "farm/a": { auth: encode("v:q") } }, "farm", "ab/c", undefined],
    ["another port", { farm: { auth: encode("u:p") } }, "farm:5000", "a", undefined],
    [
      "Docker Hub's old key",
      { "https://index.docker.io/v1/": { auth: encode("u:p") } },
      "docker.io",
      "library/x",
      { username: "u", password: "p" },
    ],
    ["an empty entry, as credential helpers leave it", { farm: {} }, "farm", "a", undefined],
    [
      "an identity token",
      { farm: { auth: encode("u:"), identitytoken: "t" } },
      "farm",
      "a",
      { username: "u", password: "", identityToken: "t" },
    ],
  ])("%s", (_name, auths, registry, repository, expected) => {
    expect(parse(auths).findCredential(registry, repository)).toEqual(expected);
  });

  test.each([
    ["no JSON", "auths"],
    ["a list", "[]"],
    ["an entry that is text", '{"auths":{"farm":"c2VjcmV0"}}'],
    ["no colon inside", `{"auths":{"farm":{"auth":"${encode("secret")}"}}}`],
    ["a number", '{"auths":{"farm":{"auth":5}}}'],
  ])("refused: %s", (_name, text) => {
    const refusal = expect.objectContaining({ code: "REGISTRY_BAD_AUTH_FILE", blame: "config" });
    expect(() => parseAuthFile(Buffer.from(text))).toThrow(refusal);
  });
});

/** A secret in every form it may take, in output that comes in any pieces, and text that is none. */
import { describe, expect, it } from "vitest";
import { listCredentialSecrets } from "../../../agent/redaction/credential-secrets.ts";
import { createRedaction } from "../../../agent/redaction/redaction.ts";

const SECRET = 'p@ss/wö+d "1"&<';

function createFilter(secrets: string[], options?: { isInteractive: boolean }) {
  const redaction = createRedaction();
  for (const secret of secrets) redaction.hide(secret);
  const shown: string[] = [];
  return { ...redaction.openFilter((chunk) => shown.push(chunk.toString()), options), shown, redaction };
}

describe("forms", () => {
  it.each([
    ["as it is", SECRET],
    ["in a URL", encodeURIComponent(SECRET)],
    ["in a URL, by others", encodeURIComponent(SECRET).replace(/%../g, (text) => text.toLowerCase())],
    ["in a form", new URLSearchParams({ a: SECRET }).toString().slice(2)],
    ["in JSON", JSON.stringify({ a: SECRET })],
    ["in HTML", "p@ss/wö+d &quot;1&quot;&amp;&lt;"],
    ["in XML", "p@ss/wö+d &#34;1&#34;&#38;&#60;"],
    ["in base64", Buffer.from(SECRET).toString("base64")],
    ["in base64 of a user and it", Buffer.from(`robot:${SECRET}`).toString("base64")],
    ["in base64 of more", Buffer.from(`{"a":"${SECRET}"}`).toString("base64url")],
  ])("%s", (_what, text) => {
    const redaction = createRedaction();
    redaction.hide(SECRET);
    expect(redaction.redactFile(`before ${text} behind`, "a")).toMatch(/^before .*\[hidden\].* behind$/);
    expect(redaction.redactFile(redaction.redactFile(text, "a"), "a")).toBe(redaction.redactFile(text, "a"));
  });

  it("hides each line of a key, except those that all keys have", () => {
    const { redaction } = createFilter([
      "-----BEGIN KEY-----\nMIIEabcdef\n  0123456789\n-----END KEY-----\n",
    ]);
    expect(redaction.redactFile("-----BEGIN KEY----- MIIEabcdef 0123456789", "a")).toBe(
      "-----BEGIN KEY----- [hidden] [hidden]",
    );
  });

  it("ignores secrets that are too short", () => {
    const { redaction } = createFilter(["a", "12345", ""]);
    expect(redaction.redactFile("a test 12345", "a")).toBe("a test 12345");
  });
});

describe("output", () => {
  it("finds a secret across chunks, and holds back no more than necessary", () => {
    const { write, end, shown } = createFilter(["hunter2hunter2"]);
    for (const piece of ["a hun", "ter2", "hunter2 b\n", "hunter3", " hunter2hunter", "\n", "hunter2h"])
      write(Buffer.from(piece));
    expect(shown.join("")).toBe("a [hidden] b\nhunter3 hunter2hunter\n");
    end();
    expect(shown.join("")).toBe("a [hidden] b\nhunter3 hunter2hunter\nhunter2h");
  });

  it("prefers the longest match", () => {
    const { write, shown } = createFilter(["secret-1", "secret-1-and-more"]);
    write(Buffer.from("secret-1-and-more secret-1 \n"));
    expect(shown.join("")).toBe("[hidden] [hidden] \n");
  });

  it("keeps all other bytes", () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const redaction = createRedaction();
    redaction.hide("hunter2hunter2");
    const shown: Buffer[] = [];
    const filter = redaction.openFilter((chunk) => shown.push(chunk));
    for (const byte of all) filter.write(Buffer.from([byte]));
    filter.end();
    expect(Buffer.concat(shown)).toEqual(all);
  });

  it("hides secrets that become known later", () => {
    const { write, shown, redaction } = createFilter([]);
    write(Buffer.from("late-secret\n"));
    redaction.hide("late-secret");
    write(Buffer.from("late-secret\n"));
    expect(shown.join("")).toBe("late-secret\n[hidden]\n");
  });

  it("does not delay output for a user at a shell", async () => {
    const { write, shown } = createFilter(["hunter2hunter2"], { isInteractive: true });
    write(Buffer.from("$ hun"));
    expect(shown.join("")).toBe("$ ");
    await expect.poll(() => shown.join("")).toBe("$ hun");
  });
});

it("keeps JSON valid for every secret", () => {
  const { redaction } = createFilter(["verdict", "123456", "hunter2hunter2"]);
  const text = JSON.stringify({ verdict: "fail", ms: 123456, list: ["hunter2hunter2 123456"] });
  expect(JSON.parse(redaction.redactFile(text, "verdict.json"))).toEqual({
    verdict: "fail",
    ms: 123456,
    list: ["[hidden] [hidden]"],
  });
  expect(redaction.redactFile('{"cut": "hunter2hunter2', "a.json")).toBe('{"cut": "[hidden]');
});

it("also hides text that looks like a secret in the agent's values", () => {
  const { redaction } = createFilter(["hunter2hunter2"]);
  const value = { msg: 'run -e TOKEN="a b" hunter2hunter2', list: [1, null, "https://u:p@h/"], n: 1 };
  expect(redaction.cleanValue(value)).toEqual({
    msg: "run -e TOKEN=[hidden] [hidden]",
    list: [1, null, "https://[hidden]@h/"],
    n: 1,
  });
});

describe("credentials", () => {
  it.each([
    [
      "s3",
      "[default]\naws_access_key_id = AKIA\naws_secret_access_key=abc/def\naws_session_token = tok\n",
      ["abc/def", "tok"],
    ],
    [
      "registry.json",
      '{"auths":{"h":{"auth":"dTpwOnc="},"i":{"username":"u","password":"pw"},"j":{"identitytoken":"it"}}}',
      ["dTpwOnc=", "p:w", "pw", "it"],
    ],
    ["registry.json", "no json", []],
    ["results-token", " abc \n", ["abc"]],
    ["ca.pem", "-----BEGIN CERTIFICATE-----", []],
  ])("%s %j", (name, text, secrets) => {
    expect(listCredentialSecrets(name, Buffer.from(text))).toEqual(secrets);
  });
});

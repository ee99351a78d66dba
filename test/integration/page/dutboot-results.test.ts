/** `dutboot results` as a command: of a folder and of a bucket, whole, cut short, changed and hostile; what is printed, and the exit code. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { formatManifest } from "../../../agent/wire/results-manifest.ts";
import { startServer } from "../../servers/misbehaving-server.ts";
import {
  ERROR_EVENTS,
  HOSTILE,
  PASS_EVENTS,
  PASS_LOG,
  PASS_VERDICT,
  SAMPLE_INPUTS,
} from "../../unit/page/sample-boots.ts";

const DUTBOOT = fileURLToPath(new URL("../../../scripts/dutboot.ts", import.meta.url));
const NO_CREDENTIALS = { AWS_SHARED_CREDENTIALS_FILE: "/nonexistent" };

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

interface Answer {
  status: number;
  stdout: string;
  stderr: string;
}

/** Beside servers of ours, so this process must not stand still. */
function results(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Answer> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...NO_CREDENTIALS, ...env } };
    execFile(process.execPath, [DUTBOOT, "results", ...words], options, (error, stdout, stderr) =>
      resolve({ status: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** As a DUT uploads them. */
const GOOD: Readonly<Record<string, string>> = (() => {
  const files = {
    "events.jsonl": PASS_EVENTS,
    "dutboot.log": PASS_LOG,
    "job.json": JSON.stringify({ job: { root: { image: "registry.farm/mesa/vulkan:1" } } }),
    "report.html": "<p>",
    facts: "a file of the test's",
  };
  const entries = Object.entries(files).map(([name, text]) => ({
    name,
    sizeBytes: Buffer.byteLength(text),
    sha256: sha256(text),
  }));
  const facts = { bootId: "1a2b3c4d", missing: [], leftOut: [], vanished: [], removed: [] };
  const records = {
    "manifest.json": formatManifest({ ...facts, files: entries }),
    "verdict.json": JSON.stringify(PASS_VERDICT),
  };
  return { ...files, ...records };
})();

function writeFolder(files: Readonly<Record<string, string | undefined>>): string {
  const folder = mkdtempSync(join(tmpdir(), "dutboot-results-"));
  folders.push(folder);
  for (const [name, text] of Object.entries(files))
    if (text !== undefined) writeFileSync(join(folder, name), text);
  return folder;
}

describe("a folder", () => {
  it("whole", async () => {
    const folder = writeFolder(GOOD);
    const { status, stdout } = await results([folder]);
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^ PASS {2}The test ended with exit code 0\n {2}registry.farm\/mesa\/vulkan:1 · 61.4 s · boot 1a2b3c4d$/m,
    );
    expect(stdout).toMatch(/^ {2}fetch +█+ +12\.3 s$/m);
    expect(stdout).toMatch(/^ {4}sha256:9f3c1e5a9f3c +▬ +reused$/m);
    expect(stdout).toMatch(/^ {2}memory, of 16\.6 GB +[▁▂▃▄]+ +5\.9 GB$/m);
    expect(stdout).toMatch(/^ {2}fetched +117\.2 MB, 196\.4 MB reused \(63 %\)$/m);
    expect(stdout).toMatch(/^ {2}tests +12,204: 12,150 passed, 0 failed, 54 skipped \(deqp-runner\)$/m);
    expect(stdout).toMatch(/^ {2}files +5 of 5 match the manifest/m);
    expect(stdout).toContain(`page: file://${folder}/report.html`);
    expect(stdout).not.toContain("\x1b");
    expect(stdout).not.toContain("not finished");
  });

  it("without an end", async () => {
    const half = PASS_EVENTS.slice(0, PASS_EVENTS.indexOf('"uptimeMs":31300'));
    const partial = JSON.stringify({
      version: 1,
      bootId: "1a2b3c4d",
      phase: "run",
      uptimeMs: 31_040,
      complete: false,
    });
    const files = { "events.jsonl": half, "partial.json": partial, "verdict.json": '{"version":1,' };
    const { status, stdout } = await results([writeFolder(files)]);
    expect(status).toBe(201);
    expect(stdout).toMatch(
      /^ NO VERDICT {2}The machine never finished; partial results up to phase run at 31\.\d s$/m,
    );
    expect(stdout).toMatch(/^ {2}run +█+ +not finished$/m);
    expect(stdout).toContain("no manifest");
    expect(stdout).toContain("verdict.json is not valid JSON");
  });

  it.each([
    ["null entries", { files: [null, 7], missing: [null, {}] }],
    [
      "control characters in names",
      { files: [{ name: "\x1b[2Ja\x9b\u202eb" }], missing: [{ name: "\x1b]0;x\x07", code: "\r\n" }] },
    ],
    ["fields that are no lists", { files: {}, missing: "x" }],
  ])("with a manifest of %s", async (_name, manifest) => {
    const { status, stdout, stderr } = await results([
      writeFolder({ ...GOOD, "manifest.json": JSON.stringify(manifest) }),
    ]);
    expect(stderr).toBe("");
    expect([0, 201, 202]).toContain(status);
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  });

  it("with the verdict of an earlier boot", async () => {
    const verdict = JSON.stringify({ ...PASS_VERDICT, bootId: "ffffffff" });
    const { status, stdout } = await results([writeFolder({ ...GOOD, "verdict.json": verdict })]);
    expect(status).toBe(201);
    expect(stdout).toContain("verdict.json belongs to another boot, ffffffff");
  });

  it("with a file that is missing and one that was changed", async () => {
    const { facts: _facts, ...files } = GOOD;
    const folder = writeFolder({ ...files, "report.html": "<b>" });
    const { status, stdout } = await results([folder]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ {2}files +3 of 5 match the manifest/m);
    expect(stdout).toMatch(/^ {2}missing: facts\n {2}changed: report\.html$/m);
  });

  it("whose words are hostile", async () => {
    const { verdict } = SAMPLE_INPUTS.error;
    const files = {
      "events.jsonl": ERROR_EVENTS,
      "dutboot.log": `${HOSTILE}\x1b]0;owned\x07\x9b31m\n`,
      "verdict.json": JSON.stringify(verdict),
      "job.json": JSON.stringify({ job: { root: { image: HOSTILE } } }),
    };
    const { status, stdout } = await results([writeFolder(files)]);
    expect(status).toBe(201);
    expect(stdout).toContain("FETCH_TIMEOUT: Cannot fetch");
    expect(stdout).toMatch(/^[^\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]*$/);
  });

  it("as JSON, and as a page made anew", async () => {
    const folder = writeFolder(GOOD);
    const page = join(folder, "again.html");
    const { status, stdout } = await results(["--json", "--html", page, folder]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: { verdict: "pass" },
      bootId: "1a2b3c4d",
      fetchedBytes: 117_200_000,
      tests: { total: 12_204 },
      files: { listed: 5, good: 5 },
      page: `file://${page}`,
    });
    expect(readFileSync(page, "utf8")).toMatch(/<h1>Pass<\/h1>/);
  });

  it.each([[["/nonexistent"]], [["--lines", "x", tmpdir()]]])("that is none: %j", async (words) => {
    expect((await results(words)).status).toBe(2);
  });
});

describe("a bucket", () => {
  const startBucket = () =>
    startServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url!, "http://host");
      if (searchParams.has("list-type")) {
        const rows = Object.keys(GOOD).map(
          (name) => `<Contents><Key>mesa/1/${name}</Key><Size>1</Size></Contents>`,
        );
        response.end(`<ListBucketResult><IsTruncated>false</IsTruncated>${rows.join("")}</ListBucketResult>`);
        return;
      }
      const body = GOOD[pathname.slice("/results/mesa/1/".length)];
      response.writeHead(body === undefined ? 404 : 200).end(body);
    });

  it("is read with the credentials of AWS's tools", async () => {
    const server = await startBucket();
    const folder = writeFolder({
      credentials: "[default]\naws_access_key_id = FROMFILE\naws_secret_access_key = x\n",
    });
    const file = {
      AWS_ENDPOINT_URL: server.origin,
      AWS_SHARED_CREDENTIALS_FILE: join(folder, "credentials"),
    };
    const keys = { AWS_ACCESS_KEY_ID: "FROMENV", AWS_SECRET_ACCESS_KEY: "y" };
    const seen = () =>
      /Credential=(\w+)\/\d+\/([\w-]+)/.exec(String(server.requests.at(-1)!.headers.authorization))?.slice(1);
    try {
      const { status, stdout } = await results(["s3://results/mesa/1/"], file);
      expect(status).toBe(0);
      expect(stdout).toMatch(/^ {2}files +5 of 5 match the manifest/m);
      expect(stdout).toContain("page: s3://results/mesa/1/report.html");
      expect(seen()).toEqual(["FROMFILE", "us-east-1"]);
      await results(["--region", "farm", "s3://results/mesa/1"], { ...file, ...keys });
      expect(seen()).toEqual(["FROMENV", "farm"]);
      await results(["s3://results/mesa/1"], { AWS_ENDPOINT_URL: server.origin });
      expect(server.requests.at(-1)!.headers.authorization).toBeUndefined();
    } finally {
      await server.close();
    }
  });

  it("that cannot be reached is the farm's fault", async () => {
    const server = await startServer((_request, response) => {
      response.writeHead(403).end("<Error><Code>AccessDenied</Code></Error>");
    });
    try {
      const { status, stderr } = await results(["--endpoint", server.origin, "s3://results/x"]);
      expect(status).toBeGreaterThan(200);
      expect(stderr).toMatch(/^dutboot: Cannot list "s3:\/\/results\/x\/": .*\(S3_\w+\)/);
    } finally {
      await server.close();
    }
  });
});

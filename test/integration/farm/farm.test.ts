/**
 * The virtual farm: its servers respond as real ones, farms are independent, and no process remains after a stop.
 * undici with the farm's CA is the HTTP client; skopeo pushes and pulls.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { AwsClient } from "aws4fetch";
import { Agent, fetch } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatFarmCredentials } from "../../../qemu/farm/credentials.ts";
import { type Farm, startFarm } from "../../../qemu/farm/farm.ts";
import { ensureBusyboxImage } from "../../../qemu/test-image/busybox-image.ts";
import { pullImage, pushImage } from "../../../qemu/test-image/push-image.ts";
import { findProcesses } from "./find-processes.ts";

let folder: string;
let farm: Farm;
let other: Farm;
let trusting: Agent;
const log = () => {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dutboot-farm-"));
  [farm, other] = await Promise.all([
    startFarm({ runDir: join(folder, "one"), log }),
    startFarm({ runDir: join(folder, "two"), log }),
  ]);
  trusting = new Agent({ connect: { ca: farm.registry.caPem } });
});

afterAll(async () => {
  await Promise.all([farm?.stop(), other?.stop(), trusting?.close()]);
  const left = await findProcesses(folder);
  await rm(folder, { recursive: true, force: true });
  expect(left).toEqual([]);
});

const basic = (username: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`,
});

describe("registry", () => {
  test("requires its password and a client that trusts its CA", async () => {
    const url = `https://${farm.registry.hostAddress}/v2/`;
    const { username, password } = farm.registry;
    const statusFor = async (headers: Record<string, string>) =>
      (await fetch(url, { headers, dispatcher: trusting })).status;
    expect(await statusFor({})).toBe(401);
    expect(await statusFor(basic(username, "wrong"))).toBe(401);
    expect(await statusFor(basic(username, password))).toBe(200);
    await expect(fetch(url)).rejects.toThrow();
  });

  test("returns the pushed image byte for byte", async () => {
    const layout = await ensureBusyboxImage(farm.tools, { log });
    const digest = await pushImage(farm, layout, "test/busybox:1");
    const pulled = join(folder, "pulled");
    await pullImage(farm, "test/busybox:1", pulled);
    const index = JSON.parse(await readFile(join(pulled, "index.json"), "utf8"));
    expect(index.manifests[0].digest).toBe(digest);
    const blobs = async (path: string) => (await readdir(join(path, "blobs", "sha256"))).sort();
    expect(await blobs(pulled)).toEqual(await blobs(layout));
    // The other farm has its own storage.
    await expect(pullImage(other, "test/busybox:1", join(folder, "nothing"))).rejects.toThrow(
      /manifest unknown|name unknown/,
    );
  });

  test("has credentials for both of its addresses", () => {
    const { auths } = JSON.parse(formatFarmCredentials(farm)["registry.json"] ?? "");
    expect(Object.keys(auths).sort()).toEqual([farm.registry.guestAddress, farm.registry.hostAddress].sort());
  });
});

describe("object store", () => {
  const put = async (target: Farm, secretAccessKey: string, key: string, body: string) => {
    const client = new AwsClient({
      accessKeyId: target.s3.accessKey,
      secretAccessKey,
      region: target.s3.region,
      service: "s3",
      retries: 0,
    });
    return (await client.fetch(`${target.s3.hostUrl}/${key}`, { method: "PUT", body })).status;
  };

  test("stores objects and rejects a wrong secret", async () => {
    await farm.s3.createBucket("results");
    expect(await put(farm, farm.s3.secretKey, "results/run/a.txt", "one")).toBe(200);
    expect(await put(farm, farm.s3.secretKey, "results/run/deep/b%20c%2Bd.txt", "two")).toBe(200);
    expect(await put(farm, farm.s3.secretKey, "results/running", "not below run/")).toBe(200);
    expect(await put(farm, "wrong", "results/run/x", "three")).toBe(403);
    expect((await fetch(`${farm.s3.hostUrl}/results/run/a.txt`)).status).toBeGreaterThanOrEqual(400);
    expect(await farm.s3.listObjects("results", "run/")).toEqual(["run/a.txt", "run/deep/b c+d.txt"]);
    const target = join(folder, "downloaded");
    expect(await farm.s3.downloadObjects("results", "run/", target)).toEqual(["a.txt", "deep/b c+d.txt"]);
    expect(await readFile(join(target, "deep/b c+d.txt"), "utf8")).toBe("two");
  });

  test("is separate for each farm", async () => {
    await farm.s3.createBucket("mine");
    expect(await put(other, other.s3.secretKey, "mine/x", "x")).toBe(404);
    expect(await put(other, farm.s3.secretKey, "mine/x", "x")).toBe(403);
  });
});

describe("file server", () => {
  const CONTENT = "0123456789";

  beforeAll(async () => {
    await writeFile(join(folder, "digits"), CONTENT);
    await farm.http.publish(join(folder, "digits"), "digits.txt");
    await writeFile(join(farm.http.root, "empty"), "");
  });

  const RANGES: readonly [range: string, status: number, body: string][] = [
    ["bytes=0-0", 206, "0"],
    ["bytes=3-5", 206, "345"],
    ["bytes=7-", 206, "789"],
    ["bytes=7-99", 206, "789"],
    ["bytes=-3", 206, "789"],
    ["bytes=-99", 206, CONTENT],
    ["bytes=10-", 416, ""],
    ["bytes=5-3", 200, CONTENT],
    ["bytes=0-1,3-4", 200, CONTENT],
    ["lines=0-1", 200, CONTENT],
  ];
  test.each(RANGES)("answers %s with %i", async (range, status, body) => {
    const response = await fetch(`${farm.http.hostUrl}/digits.txt`, { headers: { range } });
    expect([response.status, await response.text()]).toEqual([status, body]);
  });

  test("resumes only unchanged files", async () => {
    const url = `${farm.http.hostUrl}/digits.txt`;
    const etag = (await fetch(url, { method: "HEAD" })).headers.get("etag") ?? "";
    const read = async (headers: Record<string, string>) => {
      const response = await fetch(url, { headers: { range: "bytes=8-", ...headers } });
      return [response.status, await response.text()];
    };
    expect(await read({ "if-range": etag })).toEqual([206, "89"]);
    expect(await read({ "if-range": '"other"' })).toEqual([200, CONTENT]);
    expect(await read({ "if-match": '"other"' })).toEqual([412, ""]);
  });

  const PATHS: readonly [path: string, status: number][] = [
    ["digits.txt", 200],
    ["empty", 200],
    ["", 404],
    ["none", 404],
    ["digits.txt/x", 404],
    ["%2e%2e/registry/config.json", 404],
    ["..%2fregistry%2fconfig.json", 404],
    ["%zz", 400],
    ["a%00b", 400],
  ];
  test.each(PATHS)("answers /%s with %i", async (path, status) => {
    expect((await fetch(`${farm.http.hostUrl}/${path}`)).status).toBe(status);
  });

  test("serves the same files over TLS", async () => {
    const response = await fetch(`${farm.https.hostUrl}/digits.txt`, { dispatcher: trusting });
    expect(await response.text()).toBe(CONTENT);
    await expect(fetch(`${farm.https.hostUrl}/digits.txt`)).rejects.toThrow();
  });
});

describe("the end of a farm", () => {
  const OWNER = `
    import { startFarm } from ${JSON.stringify(join(import.meta.dirname, "../../../qemu/farm/farm.ts"))};
    const controller = new AbortController();
    process.on("SIGTERM", () => controller.abort(new Error("stopped")));
    const farm = await startFarm({ runDir: process.argv[1], log() {}, signal: controller.signal });
    console.log("up");
    if (process.argv[2] === "throw") throw new Error("on purpose");
    controller.signal.addEventListener("abort", () => clearTimeout(hold));
    const hold = setTimeout(() => {}, 60_000);
  `;
  const WAYS: readonly [how: string, signal: NodeJS.Signals | undefined][] = [
    ["SIGKILL", "SIGKILL"],
    ["Ctrl-C without a handler", "SIGINT"],
    ["an aborted signal", "SIGTERM"],
    ["an uncaught error", undefined],
  ];
  test.each(WAYS)("by %s leaves no process", async (_, signal) => {
    const runDir = await mkdtemp(join(folder, "ending-"));
    const words = ["--input-type=module-typescript", "-e", OWNER, runDir, signal ? "hold" : "throw"];
    const owner = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "ignore"] });
    const exited = once(owner, "exit");
    for await (const line of createInterface({ input: owner.stdout })) if (line === "up") break;
    // It may already have ended.
    if (signal) expect(await findProcesses(runDir)).not.toEqual([]);
    if (signal) owner.kill(signal);
    await exited;
    await expect.poll(() => findProcesses(runDir), { timeout: 5_000 }).toEqual([]);
  });

  test("while it starts leaves no process", async () => {
    const runDir = await mkdtemp(join(folder, "early-"));
    const controller = new AbortController();
    const starting = startFarm({ runDir, log, signal: controller.signal });
    setTimeout(() => controller.abort(new Error("too late")), 300);
    await expect(starting).rejects.toThrow("too late");
    expect(await findProcesses(runDir)).toEqual([]);
  });
});

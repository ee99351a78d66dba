/** Mirrors: the order of the hosts, what happens when one fails, and which host gets which credentials. */
import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { createHttpClient } from "../../../agent/net/http/http-client.ts";
import { RegistryClient } from "../../../agent/net/registry/registry.ts";
import { parseImageReference } from "../../../agent/oci/reference.ts";
import { createMemoryRegistry, digestOf, type MemoryRegistry } from "../../servers/memory-registry.ts";
import { answer, type MisbehavingServer, startServer } from "../../servers/misbehaving-server.ts";

const AMD64 = { os: "linux", architecture: "amd64" };
const LAYER = randomBytes(400_000);
const USER = { username: "tester", password: "origin-only" };
const OCI = "application/vnd.oci.image";

const toClose: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of toClose.splice(0)) await each.close();
});

function putImage(memory: MemoryRegistry, env = "A=1") {
  const config = {
    ...AMD64,
    config: { Env: [env] },
    rootfs: { type: "layers", diff_ids: [digestOf(LAYER)] },
  };
  const bytes = Buffer.from(JSON.stringify(config));
  const digest = memory.putManifest("latest", {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: { mediaType: `${OCI}.config.v1+json`, digest: memory.putBlob(bytes), size: bytes.length },
    layers: [{ mediaType: `${OCI}.layer.v1.tar`, digest: memory.putBlob(LAYER), size: LAYER.length }],
  });
  return { digest, configDigest: digestOf(bytes) };
}

interface Side {
  memory: MemoryRegistry;
  server: MisbehavingServer;
  digest: string;
  configDigest: string;
}

async function start(auth: "none" | "basic" = "none", env?: string): Promise<Side> {
  const memory = createMemoryRegistry({ auth, ...(auth === "basic" && { user: USER }) });
  const server = await startServer(memory.behaviour);
  toClose.push(server);
  return { memory, server, ...putImage(memory, env) };
}

function connect(origin: Side, mirrorUrls: readonly string[], extraHosts: readonly string[] = []) {
  const warnings: string[] = [];
  const http = createHttpClient({
    insecureHosts: ["127.0.0.1", ...extraHosts],
    log: { warn: () => {} },
    retry: { budgetMs: 300, firstDelayMs: 5, silenceMs: 500 },
  });
  toClose.push(http);
  const asked: string[] = [];
  const client = new RegistryClient(http, {
    auth: (registry) => {
      asked.push(registry);
      return registry === origin.server.host ? USER : undefined;
    },
    mirrors: mirrorUrls.map((url) => ({ registry: origin.server.host, url })),
    log: { warn: (line) => warnings.push(line) },
    mirrorBudgetMs: 300,
  });
  const reference = parseImageReference(`${origin.server.host}/a/image`);
  return {
    warnings,
    asked,
    async pull() {
      const image = await client.resolveImage(reference, AMD64);
      const chunks: Buffer[] = [];
      for await (const chunk of await client.openBlob(reference, image.layers[0]!)) chunks.push(chunk);
      return { image, isRight: Buffer.concat(chunks).equals(LAYER) };
    },
    reject: () => client.rejectBlob({ digest: digestOf(LAYER) }),
  };
}

const paths = ({ memory }: Side) =>
  memory.log.filter(({ path }) => path.startsWith("/v2/")).map(({ path }) => path);

describe("the mirror", () => {
  it("is used instead of the registry when it has everything, below its prefix", async () => {
    const origin = await start();
    const mirror = await start();
    const { pull, warnings } = connect(origin, [`${mirror.server.origin}/hub`]);
    expect((await pull()).isRight).toBe(true);
    expect(paths(origin)).toEqual([]);
    expect(paths(mirror)[0]).toBe("/v2/hub/a/image/manifests/latest");
    expect(warnings).toEqual([]);
  });

  it("is the first of several that responds", async () => {
    const origin = await start();
    const [first, second] = [await start(), await start()];
    await connect(origin, [first.server.origin, second.server.origin]).pull();
    expect(paths(first).length).toBe(3);
    expect([...paths(second), ...paths(origin)]).toEqual([]);
  });

  it("that serves wrong bytes of a layer is left out, and the next host is asked", async () => {
    const origin = await start();
    const [first, second] = [await start(), await start()];
    for (const { memory } of [first, second])
      memory.lies.set(digestOf(LAYER), answer(200, {}, randomBytes(LAYER.length)));
    const { pull, reject, warnings } = connect(origin, [first.server.origin, second.server.origin]);
    expect([(await pull()).isRight, reject()]).toEqual([false, true]);
    expect([(await pull()).isRight, reject()]).toEqual([false, true]);
    expect([(await pull()).isRight, reject()]).toEqual([true, false]);
    expect(warnings).toEqual(
      [first, second].map(({ server }) =>
        expect.stringContaining(`mirror ${server.host} served wrong bytes`),
      ),
    );
  });

  it("that serves wrong bytes and breaks off is left out, though another host served the rest", async () => {
    const origin = await start();
    const mirror = await start();
    mirror.memory.lies.set(digestOf(LAYER), (_request, response) => {
      response.writeHead(200, { "content-length": String(LAYER.length) });
      response.write(Buffer.alloc(1000), () => response.destroy());
    });
    const { pull, reject } = connect(origin, [mirror.server.origin]);
    expect([(await pull()).isRight, reject()]).toEqual([false, true]);
    expect([(await pull()).isRight, reject()]).toEqual([true, false]);
  });

  it("never gets the registry's credentials", async () => {
    const origin = await start("basic");
    const mirror = await start("basic");
    const { pull, asked } = connect(origin, [mirror.server.origin]);
    expect((await pull()).isRight).toBe(true);
    expect(new Set(asked)).toEqual(new Set([mirror.server.host, origin.server.host]));
    expect(mirror.memory.log.map(({ authorization }) => authorization)).not.toContainEqual(expect.anything());
    expect(paths(origin).length).toBeGreaterThan(0);
  });
});

describe("the registry is used when a mirror", () => {
  it("does not have the image", async () => {
    const origin = await start();
    const empty = await startServer(answer(404, {}, '{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'));
    toClose.push(empty);
    const { pull, warnings } = connect(origin, [empty.origin]);
    expect((await pull()).image.manifestDigest).toBe(origin.digest);
    expect(warnings[0]).toContain(`the mirror ${empty.host} failed (IMAGE_NOT_FOUND)`);
  });

  it("is unreachable, which is tried only once", async () => {
    const origin = await start();
    const { pull, warnings } = connect(origin, ["http://127.0.0.1:1"]);
    expect((await pull()).isRight).toBe(true);
    expect(warnings).toHaveLength(1);
  });

  it("sends a config other than the one in the manifest", async () => {
    const origin = await start();
    const mirror = await start();
    mirror.memory.lies.set(mirror.configDigest, answer(200, {}, "{}"));
    const { pull, warnings } = connect(origin, [mirror.server.origin]);
    expect((await pull()).isRight).toBe(true);
    expect(warnings[0]).toMatch(/IMAGE_(DIGEST|SIZE)_MISMATCH/);
  });

  it("fails in the middle of a layer", async () => {
    const origin = await start();
    const mirror = await start();
    mirror.memory.lies.set(digestOf(LAYER), (request, response) => {
      if (request.headers.range) return answer(500)(request, response);
      response.writeHead(200, { "content-length": LAYER.length });
      response.write(LAYER.subarray(0, 100_000), () => response.destroy());
      return undefined;
    });
    const { pull } = connect(origin, [mirror.server.origin]);
    expect((await pull()).isRight).toBe(true);
    expect(paths(origin)).toEqual([`/v2/a/image/blobs/${digestOf(LAYER)}`]);
  });

  it("and the error of the registry itself is reported", async () => {
    const origin = await start("basic");
    const { pull } = connect(origin, ["http://127.0.0.1:1"]);
    origin.memory.lies.set("latest", answer(404, {}, "{}"));
    await expect(pull()).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
  });
});

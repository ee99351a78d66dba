/**
 * The registry client against a registry in memory: which images it resolves, which it refuses, and who is to blame.
 */
import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import type { ErrorCode } from "../../../../agent/errors.ts";
import { createHttpClient } from "../../../../agent/net/http/http-client.ts";
import { RegistryClient } from "../../../../agent/net/registry/registry.ts";
import { parseImageReference } from "../../../../agent/oci/reference.ts";
import {
  createMemoryRegistry,
  digestOf,
  type MemoryRegistry,
  type MemoryRegistryOptions,
} from "../../../servers/memory-registry.ts";
import { answer, type Behaviour, serveFile, startServer } from "../../../servers/misbehaving-server.ts";

const OCI = "application/vnd.oci.image";
const AMD64 = { os: "linux", architecture: "amd64" };
const USER = { username: "tester", password: "pass:word" };
const LAYER = randomBytes(500_000);

const toClose: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of toClose.splice(0)) await each.close();
});

async function start(
  options?: MemoryRegistryOptions,
  {
    user,
    wrap = (serve) => serve,
  }: { user?: typeof USER | undefined; wrap?: (serve: Behaviour) => Behaviour } = { user: USER },
) {
  const memory = createMemoryRegistry(options);
  const server = await startServer(wrap(memory.behaviour));
  const http = createHttpClient({
    insecureHosts: [server.host],
    log: { warn: () => {} },
    retry: { budgetMs: 300, firstDelayMs: 5, silenceMs: 500 },
  });
  toClose.push(server, http);
  const warnings: string[] = [];
  const log = { warn: (line: string) => warnings.push(line) };
  const registry = new RegistryClient(http, { auth: () => user, log });
  const refer = (rest: string) => parseImageReference(`${server.host}/a/image${rest}`);
  return { memory, server, registry, refer, warnings };
}

function putImage(memory: MemoryRegistry, tag = "latest", architecture = "amd64", os = "linux") {
  const config = {
    os,
    architecture,
    config: { Env: ["A=1"] },
    rootfs: { type: "layers", diff_ids: [digestOf(LAYER)] },
  };
  const configBytes = Buffer.from(JSON.stringify(config));
  const configDigest = memory.putBlob(configBytes);
  const layerDigest = memory.putBlob(LAYER);
  const document = {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: { mediaType: `${OCI}.config.v1+json`, digest: configDigest, size: configBytes.length },
    layers: [{ mediaType: `${OCI}.layer.v1.tar`, digest: layerDigest, size: LAYER.length }],
  };
  const digest = memory.putManifest(tag, document);
  return {
    document,
    digest,
    configDigest,
    layerDigest,
    sizeBytes: Buffer.byteLength(JSON.stringify(document)),
  };
}

/** Tag `latest`: an index that names the image. */
function putIndex(
  memory: MemoryRegistry,
  image: { digest: string; sizeBytes: number },
  platform?: object,
): void {
  const entry = {
    mediaType: `${OCI}.manifest.v1+json`,
    digest: image.digest,
    size: image.sizeBytes,
    platform,
  };
  memory.putManifest("latest", { schemaVersion: 2, manifests: [entry] }, { type: `${OCI}.index.v1+json` });
}

/** Tag `latest`: `depth` indexes, each of which names the next, and the last one the image. */
function putIndexes(
  memory: MemoryRegistry,
  image: { digest: string; sizeBytes: number },
  depth: number,
): void {
  const type = `${OCI}.index.v1+json`;
  let entry = { mediaType: `${OCI}.manifest.v1+json`, digest: image.digest, size: image.sizeBytes };
  for (let level = 0; level < depth; level++) {
    const index = { schemaVersion: 2, mediaType: type, manifests: [{ ...entry, platform: AMD64 }] };
    const digest = memory.putManifest("latest", index, { type });
    entry = { mediaType: type, digest, size: JSON.stringify(index).length };
  }
}

async function read(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe("resolves", () => {
  test.each<MemoryRegistryOptions>([
    {},
    { auth: "basic", user: USER },
    { auth: "bearer" },
    { auth: "bearer", user: USER },
  ])("a manifest and its layer, with %j", async (options) => {
    const { memory, registry, refer } = await start(options);
    const { digest, layerDigest } = putImage(memory);
    const image = await registry.resolveImage(refer(""), AMD64);
    expect(image).toMatchObject({ manifestDigest: digest, config: { env: ["A=1"] } });
    expect(image.layers).toEqual([
      {
        mediaType: `${OCI}.layer.v1.tar`,
        digest: layerDigest,
        sizeBytes: LAYER.length,
        annotations: {},
        diffId: digestOf(LAYER),
      },
    ]);
    expect(await read(await registry.openBlob(image.reference, image.layers[0]!))).toEqual(LAYER);
    const part = await registry.openBlob(image.reference, image.layers[0]!, {
      range: { start: 7, end: 100 },
    });
    expect(await read(part)).toEqual(LAYER.subarray(7, 100));
  });

  test("the manifest for the machine from an index, also by digest", async () => {
    const { memory, registry, refer } = await start();
    const arm = putImage(memory, "arm", "arm64");
    const amd = putImage(memory, "amd");
    const entry = ({ digest, sizeBytes }: typeof arm, architecture: string) => ({
      mediaType: `${OCI}.manifest.v1+json`,
      digest,
      size: sizeBytes,
      platform: { os: "linux", architecture },
    });
    const index = { schemaVersion: 2, manifests: [entry(arm, "arm64"), entry(amd, "amd64")] };
    const indexDigest = memory.putManifest("latest", index, { type: `${OCI}.index.v1+json` });
    for (const rest of ["", `@${indexDigest}`, `:wrong@${indexDigest}`]) {
      const image = await registry.resolveImage(refer(rest), AMD64);
      expect(image.manifestDigest).toBe(amd.digest);
    }
  });
});

describe("takes, as podman does", () => {
  const emptyPlatform = { os: "", architecture: "" };
  test.each<[string, (memory: MemoryRegistry) => unknown, string[]]>([
    ["an index in an index", (memory) => putIndexes(memory, putImage(memory, "amd"), 4), []],
    [
      "an index entry without a platform",
      (memory) => putIndex(memory, putImage(memory, "amd"), undefined),
      [],
    ],
    [
      "an image that names no platform",
      (memory) => putImage(memory, "latest", "", ""),
      ["names no platform"],
    ],
    [
      "an image that names no platform, of an index that does",
      (memory) => putIndex(memory, putImage(memory, "amd", "", ""), AMD64),
      ["names no platform"],
    ],
    [
      "an image whose config names its builder's machine, of an index that names ours",
      (memory) => putIndex(memory, putImage(memory, "amd", "arm64"), AMD64),
      ["says linux/arm64"],
    ],
    [
      "an index entry with an empty platform",
      (memory) => putIndex(memory, putImage(memory, "amd"), emptyPlatform),
      [],
    ],
    [
      "an empty Docker-Content-Digest",
      (memory) => memory.putManifest("latest", putImage(memory).document, { digestHeader: "" }),
      [],
    ],
  ])("%s", async (_name, prepare, expected) => {
    const { memory, registry, refer, warnings } = await start();
    prepare(memory);
    const image = await registry.resolveImage(refer(""), AMD64);
    expect(image.layers).toHaveLength(1);
    expect(warnings).toEqual(expected.map((text) => expect.stringContaining(text)));
  });

  test.each<[string, object]>([
    ["access_token beside an empty token", { token: "", access_token: "good" }],
    ["access_token beside a null token", { token: null, access_token: "good" }],
    ["a token with a lifetime in words", { token: "good", expires_in: "300" }],
  ])("a token answer with %s", async (_name, body) => {
    const asked: string[] = [];
    const wrap =
      (serve: Behaviour): Behaviour =>
      (request, response) => {
        if (request.url!.startsWith("/token")) {
          asked.push(request.url!);
          return answer(200, { "content-type": "application/json" }, JSON.stringify(body))(request, response);
        }
        if (request.headers.authorization === "Bearer good") return serve(request, response);
        const scope = "repository:a/image:pull,push registry:catalog:*";
        const challenge = `Bearer realm="http://${request.headers.host}/token",service="",scope="${scope}"`;
        return answer(401, { "www-authenticate": challenge })(request, response);
      };
    const { memory, registry, refer } = await start({}, { wrap });
    putImage(memory);
    await registry.resolveImage(refer(""), AMD64);
    // Neither the empty service nor more than a pull.
    expect(new Set(asked)).toEqual(new Set(["/token?scope=repository%3Aa%2Fimage%3Apull"]));
  });
});

describe("refuses", () => {
  const cases: {
    name: string;
    prepare: (memory: MemoryRegistry) => string | undefined;
    options?: MemoryRegistryOptions;
    user?: typeof USER | undefined;
    code: ErrorCode;
    blame: string;
  }[] = [
    { name: "no such tag", prepare: () => ":none", code: "IMAGE_NOT_FOUND", blame: "job" },
    {
      name: "a digest other than the reference's",
      prepare: (memory) => {
        const { document } = putImage(memory);
        const other = `sha256:${"0".repeat(64)}`;
        memory.lies.set(
          other,
          answer(200, { "content-type": `${OCI}.manifest.v1+json` }, JSON.stringify(document)),
        );
        return `@${other}`;
      },
      code: "IMAGE_DIGEST_MISMATCH",
      blame: "infra",
    },
    {
      name: "a digest other than that in the registry's header",
      prepare: (memory) => {
        memory.putManifest("latest", putImage(memory).document, { digestHeader: `sha256:${"0".repeat(64)}` });
        return "";
      },
      code: "IMAGE_DIGEST_MISMATCH",
      blame: "infra",
    },
    {
      name: "a config with other bytes",
      prepare: (memory) => {
        memory.lies.set(putImage(memory).configDigest, answer(200, {}, "{}"));
        return "";
      },
      code: "IMAGE_DIGEST_MISMATCH",
      blame: "infra",
    },
    {
      name: "a missing config",
      prepare: (memory) => {
        memory.lies.set(putImage(memory).configDigest, answer(404));
        return "";
      },
      code: "REGISTRY_BLOB_MISSING",
      blame: "infra",
    },
    {
      name: "an image for another architecture, without an index",
      prepare: (memory) => {
        putImage(memory, "latest", "arm64");
        return "";
      },
      code: "IMAGE_NO_PLATFORM",
      blame: "job",
    },
    {
      name: "an image for another architecture, of an index that names none",
      prepare: (memory) => {
        putIndex(memory, putImage(memory, "arm", "arm64"), undefined);
        return "";
      },
      code: "IMAGE_NO_PLATFORM",
      blame: "job",
    },
    {
      name: "an index that names itself through others",
      prepare: (memory) => {
        putIndexes(memory, putImage(memory, "amd"), 5);
        return "";
      },
      code: "IMAGE_BAD_MANIFEST",
      blame: "job",
    },
    {
      name: "a manifest that is longer than its descriptor",
      prepare: (memory) => {
        const { digest, sizeBytes } = putImage(memory, "amd");
        const entry = { mediaType: `${OCI}.manifest.v1+json`, digest, size: sizeBytes - 1, platform: AMD64 };
        memory.putManifest(
          "latest",
          { schemaVersion: 2, manifests: [entry] },
          { type: `${OCI}.index.v1+json` },
        );
        return "";
      },
      code: "IMAGE_SIZE_MISMATCH",
      blame: "infra",
    },
    {
      name: "both manifest and index",
      prepare: (memory) => {
        memory.putManifest("latest", { ...putImage(memory).document, manifests: [] });
        return "";
      },
      code: "IMAGE_MEDIA_TYPE_MISMATCH",
      blame: "job",
    },
    {
      name: "an endless manifest",
      prepare: (memory) => {
        memory.lies.set("latest", serveFile(Buffer.alloc(5_000_000), { isChunked: true }));
        return "";
      },
      code: "FETCH_TOO_LARGE",
      blame: "job",
    },
    {
      name: "a login page",
      prepare: (memory) => {
        memory.lies.set("latest", answer(200, { "content-type": "text/html" }, "<!doctype html>"));
        return "";
      },
      code: "HTTP_UNEXPECTED_PAGE",
      blame: "infra",
    },
    {
      name: "no password",
      prepare: () => "",
      options: { auth: "basic", user: USER },
      user: undefined,
      code: "REGISTRY_UNAUTHORIZED",
      blame: "config",
    },
    {
      name: "a wrong password",
      prepare: () => "",
      options: { auth: "basic", user: USER },
      user: { username: "tester", password: "wrong" },
      code: "REGISTRY_UNAUTHORIZED",
      blame: "config",
    },
    {
      name: "a wrong password at the token server",
      prepare: () => "",
      options: { auth: "bearer", user: USER },
      user: { username: "tester", password: "wrong" },
      code: "REGISTRY_UNAUTHORIZED",
      blame: "config",
    },
    {
      name: "useless tokens",
      prepare: () => "",
      options: { auth: "bearer", tokenUses: 0 },
      code: "REGISTRY_UNAUTHORIZED",
      blame: "config",
    },
    {
      name: "denied",
      prepare: (memory) => {
        memory.lies.set("latest", answer(403, {}, '{"errors":[{"code":"DENIED"}]}'));
        return "";
      },
      code: "REGISTRY_DENIED",
      blame: "config",
    },
    {
      name: "an unknown challenge",
      prepare: (memory) => {
        memory.lies.set("latest", answer(401, { "www-authenticate": "Negotiate" }));
        return "";
      },
      code: "REGISTRY_BAD_CHALLENGE",
      blame: "infra",
    },
    {
      name: "a token server over plain HTTP elsewhere",
      prepare: (memory) => {
        memory.lies.set(
          "latest",
          answer(401, { "www-authenticate": 'Bearer realm="http://elsewhere.invalid/token"' }),
        );
        return "";
      },
      code: "FETCH_INSECURE_REFUSED",
      blame: "job",
    },
    {
      name: "a registry that is down",
      prepare: (memory) => {
        memory.lies.set("latest", answer(503));
        return "";
      },
      code: "HTTP_SERVER_ERROR",
      blame: "infra",
    },
  ];
  test.each(cases)("$name", async (each) => {
    const { memory, registry, refer } = await start(
      each.options,
      "user" in each ? { user: each.user } : { user: USER },
    );
    const rest = each.prepare(memory) ?? "";
    const { code, blame } = each;
    await expect(registry.resolveImage(refer(rest), AMD64)).rejects.toMatchObject({ code, blame });
  });

  test.each([
    { name: "shorter", bytes: LAYER.subarray(1), isChunked: false, code: "IMAGE_SIZE_MISMATCH" },
    { name: "longer", bytes: Buffer.concat([LAYER, LAYER]), isChunked: false, code: "IMAGE_SIZE_MISMATCH" },
    {
      name: "longer, without Content-Length,",
      bytes: Buffer.concat([LAYER, LAYER]),
      isChunked: true,
      code: "IMAGE_SIZE_MISMATCH",
    },
  ])("a layer that is $name than its descriptor", async ({ bytes, isChunked, code }) => {
    const { memory, registry, refer } = await start();
    const { layerDigest } = putImage(memory);
    memory.lies.set(layerDigest, serveFile(bytes, { isChunked }));
    const pull = async () =>
      read(await registry.openBlob(refer(""), { digest: layerDigest, sizeBytes: LAYER.length }));
    await expect(pull()).rejects.toMatchObject({ code, blame: "infra" });
  });
});

describe("tokens", () => {
  test("are shared by manifest, config and layers", async () => {
    const { memory, registry, refer } = await start({ auth: "bearer", user: USER });
    putImage(memory);
    const image = await registry.resolveImage(refer(""), AMD64);
    await read(await registry.openBlob(image.reference, image.layers[0]!));
    expect(memory.tokens).toEqual(["token-1 repository:a/image:pull"]);
  });

  test("are renewed when they expire during a pull, once for all layers", async () => {
    const { memory, registry, refer } = await start({ auth: "bearer", user: USER, tokenUses: 4 });
    putImage(memory);
    const image = await registry.resolveImage(refer(""), AMD64);
    const layer = image.layers[0]!;
    const pulled = await Promise.all(
      [1, 2, 3, 4].map(async () => read(await registry.openBlob(image.reference, layer))),
    );
    for (const bytes of pulled) expect(bytes).toEqual(LAYER);
    expect(memory.tokens.length).toBe(2);
  });

  test("are renewed shortly before they expire", async () => {
    const { memory, registry, refer } = await start({ auth: "bearer", expiresIn: 0.1 });
    putImage(memory);
    const image = await registry.resolveImage(refer(""), AMD64);
    await new Promise((resolve) => setTimeout(resolve, 120));
    await read(await registry.openBlob(image.reference, image.layers[0]!));
    expect(memory.tokens.length).toBe(2);
    expect(memory.log.filter(({ path, status }) => path !== "/" && status === 401)).toHaveLength(1);
  });

  test("let an interrupted download continue after they expired", async () => {
    const { memory, registry, refer } = await start({ auth: "bearer", tokenUses: 3 });
    const { layerDigest } = putImage(memory);
    const image = await registry.resolveImage(refer(""), AMD64);
    let isFirst = true;
    memory.lies.set(layerDigest, (request, response) => {
      const options = isFirst ? ({ after: 100_000, fault: "reset" } as const) : {};
      isFirst = false;
      return serveFile(LAYER, options)(request, response);
    });
    expect(await read(await registry.openBlob(image.reference, image.layers[0]!))).toEqual(LAYER);
    expect(memory.tokens.length).toBe(2);
  });
});

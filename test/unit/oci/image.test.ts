/** Indexes, manifests and configs, healthy and hostile, and the choice of a platform. */
import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../../agent/errors.ts";
import { pairLayers, parseImageConfig, parseManifest } from "../../../agent/oci/image.ts";
import { fitsPlatform, selectPlatform } from "../../../agent/oci/platform.ts";

const SHA = `sha256:${"ab".repeat(32)}`;
const OCI = "application/vnd.oci.image";
const DOCKER = "application/vnd.docker";
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const config = { mediaType: `${OCI}.config.v1+json`, digest: SHA, size: 10 };
const layer = { mediaType: `${OCI}.layer.v1.tar+gzip`, digest: SHA, size: 20 };
const manifest = { schemaVersion: 2, mediaType: `${OCI}.manifest.v1+json`, config, layers: [layer] };
const index = {
  schemaVersion: 2,
  manifests: [
    {
      mediaType: `${OCI}.manifest.v1+json`,
      digest: SHA,
      size: 5,
      platform: { os: "linux", architecture: "amd64" },
    },
  ],
};

describe("manifests", () => {
  test.each([
    ["OCI manifest", manifest, `${OCI}.manifest.v1+json`, "manifest"],
    [
      "OCI manifest without a type of its own",
      { ...manifest, mediaType: undefined },
      `${OCI}.manifest.v1+json`,
      "manifest",
    ],
    ["OCI manifest from a server that says JSON", manifest, "application/json", "manifest"],
    ["OCI manifest without any type", { ...manifest, mediaType: undefined }, undefined, "manifest"],
    ["OCI index", index, `${OCI}.index.v1+json`, "index"],
    ["OCI index without any type", index, undefined, "index"],
    [
      "Docker list",
      { ...index, mediaType: `${DOCKER}.distribution.manifest.list.v2+json` },
      `${DOCKER}.distribution.manifest.list.v2+json`,
      "index",
    ],
    [
      "Docker manifest",
      {
        ...manifest,
        mediaType: `${DOCKER}.distribution.manifest.v2+json`,
        config: { ...config, mediaType: `${DOCKER}.container.image.v1+json` },
        layers: [{ ...layer, mediaType: `${DOCKER}.image.rootfs.diff.tar.gzip` }],
      },
      `${DOCKER}.distribution.manifest.v2+json`,
      "manifest",
    ],
    ["no layers", { ...manifest, layers: [] }, undefined, "manifest"],
  ])("%s", (_name, document, type, kind) => {
    expect(parseManifest(json(document), type, "x").kind).toBe(kind);
  });

  const confused: ErrorCode = "IMAGE_MEDIA_TYPE_MISMATCH";
  const bad: ErrorCode = "IMAGE_BAD_MANIFEST";
  const unsupported: ErrorCode = "IMAGE_UNSUPPORTED_MEDIA_TYPE";
  test.each<[string, unknown, string | undefined, ErrorCode]>([
    ["both at once", { ...manifest, ...index }, `${OCI}.manifest.v1+json`, confused],
    ["an index with a config", { ...index, config }, undefined, confused],
    ["sent as an index, calls itself a manifest", manifest, `${OCI}.index.v1+json`, confused],
    ["index type, manifest fields", { ...manifest, mediaType: undefined }, `${OCI}.index.v1+json`, confused],
    ["manifest type, index fields", index, `${OCI}.manifest.v1+json`, confused],
    [
      "schema 1",
      { schemaVersion: 1, fsLayers: [] },
      `${DOCKER}.distribution.manifest.v1+prettyjws`,
      unsupported,
    ],
    ["another type", { schemaVersion: 2 }, "application/vnd.example+json", unsupported],
    [
      "an artifact",
      { ...manifest, config: { ...config, mediaType: "application/vnd.cncf.helm.config.v1+json" } },
      undefined,
      unsupported,
    ],
    [
      "a layer of another type",
      { ...manifest, layers: [{ ...layer, mediaType: "application/zip" }] },
      undefined,
      unsupported,
    ],
    ["no config", { ...manifest, config: undefined }, undefined, bad],
    ["no layers field", { ...manifest, layers: undefined }, undefined, bad],
    ["layers that are no list", { ...manifest, layers: {} }, undefined, bad],
    ["a layer without digest", { ...manifest, layers: [{ ...layer, digest: undefined }] }, undefined, bad],
    [
      "a digest that climbs",
      { ...manifest, layers: [{ ...layer, digest: "sha256:../../etc" }] },
      undefined,
      bad,
    ],
    ["a negative size", { ...manifest, layers: [{ ...layer, size: -1 }] }, undefined, bad],
    ["a size beyond 2^53", { ...manifest, layers: [{ ...layer, size: 1e300 }] }, undefined, bad],
    ["a size in words", { ...manifest, layers: [{ ...layer, size: "20" }] }, undefined, bad],
    ["too many layers", { ...manifest, layers: Array(501).fill(layer) }, undefined, bad],
    [
      "annotations that are no map",
      { ...manifest, layers: [{ ...layer, annotations: [1] }] },
      undefined,
      bad,
    ],
    ["a list", [], undefined, bad],
  ])("refused: %s", (_name, document, type, code) => {
    expect(() => parseManifest(json(document), type, "x")).toThrow(expect.objectContaining({ code }));
  });

  test.each([
    [
      "of schema 2 with a config of no type of its own",
      `${DOCKER}.distribution.manifest.v2+json`,
      { config: { ...config, mediaType: "application/octet-stream" } },
    ],
    [
      "of schema 2 with a config that calls itself a page",
      `${DOCKER}.distribution.manifest.v2+json`,
      { config: { ...config, mediaType: "text/html" } },
    ],
    [
      "with a foreign layer",
      undefined,
      { layers: [{ ...layer, mediaType: `${DOCKER}.image.rootfs.foreign.diff.tar.gzip` }] },
    ],
    [
      "with a layer that must not be distributed",
      undefined,
      { layers: [{ ...layer, mediaType: `${OCI}.layer.nondistributable.v1.tar+zstd` }] },
    ],
  ])("accepted: %s", (_name, type, change) => {
    const document = { ...manifest, mediaType: type, ...change };
    expect(parseManifest(json(document), type, "x")).toMatchObject({ kind: "manifest" });
  });

  test.each([
    ["text", "hello"],
    ["an HTML page", "<!doctype html>"],
    ["broken UTF-8", Buffer.from([0x22, 0xff, 0x22])],
  ])("refused: %s", (_name, bytes) => {
    expect(() => parseManifest(Buffer.from(bytes), undefined, "x")).toThrow(
      expect.objectContaining({ code: bad }),
    );
  });

  test("layers pair with DiffIDs in order", () => {
    const parsed = parseManifest(json(manifest), undefined, "x");
    if (parsed.kind !== "manifest") throw new Error("no manifest");
    const image = parseImageConfig(
      json({ os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [SHA] } }),
      "x",
    );
    expect(pairLayers(parsed, image, "x")).toEqual([
      { mediaType: layer.mediaType, digest: SHA, sizeBytes: 20, annotations: {}, diffId: SHA },
    ]);
    const refusal = expect.objectContaining({ code: bad });
    expect(() => pairLayers(parsed, { ...image, diffIds: [] }, "x")).toThrow(refusal);
  });
});

describe("configs", () => {
  const minimal = { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [] } };

  test("everything that matters is read", () => {
    const document = {
      ...minimal,
      variant: "v2",
      config: {
        Env: ["A=1", "B=x=y", "C="],
        Entrypoint: ["/bin/sh", "-c"],
        Cmd: ["true"],
        WorkingDir: "/work",
        User: "1000:100",
        Labels: { a: "b" },
      },
    };
    expect(parseImageConfig(json(document), "x")).toEqual({
      os: "linux",
      architecture: "amd64",
      variant: "v2",
      warnings: [],
      env: ["A=1", "B=x=y", "C="],
      entrypoint: ["/bin/sh", "-c"],
      cmd: ["true"],
      workingDir: "/work",
      user: "1000:100",
      labels: { a: "b" },
      diffIds: [],
    });
  });

  test("nulls, as Go writes them, are absences", () => {
    const nulls = { Env: null, Entrypoint: null, Cmd: null, Labels: null };
    expect(parseImageConfig(json({ ...minimal, config: nulls }), "x")).toMatchObject({
      env: [],
      entrypoint: [],
      cmd: [],
    });
  });

  test.each([
    ["without a value", "FOO"],
    ["without a name", "=1"],
    ["with NUL", "A=\u0000"],
    ["that is empty", ""],
  ])("an environment entry %s is ignored with a warning", (_name, entry) => {
    const image = parseImageConfig(json({ ...minimal, config: { Env: ["PATH=/bin", entry, "B="] } }), "x");
    expect(image.env).toEqual(["PATH=/bin", "B="]);
    expect(image.warnings).toEqual([expect.stringContaining(JSON.stringify(entry))]);
  });

  test.each([{}, { os: "", architecture: "" }, { os: null, architecture: null }])(
    "without a platform: %j",
    (platform) => {
      const image = parseImageConfig(json({ rootfs: minimal.rootfs, ...platform }), "x");
      expect(image).toMatchObject({ os: "", architecture: "" });
    },
  );

  test.each([
    ["no rootfs", { ...minimal, rootfs: undefined }],
    ["a DiffID that is none", { ...minimal, rootfs: { diff_ids: ["sha256:1"] } }],
    ["an environment that is no list", { ...minimal, config: { Env: "A=1" } }],
    ["an entrypoint of numbers", { ...minimal, config: { Entrypoint: [1] } }],
  ])("refused: %s", (_name, document) => {
    expect(() => parseImageConfig(json(document), "x")).toThrow(
      expect.objectContaining({ code: "IMAGE_BAD_CONFIG" }),
    );
  });
});

describe("platforms", () => {
  const offer = (...names: string[]) =>
    names.map((name) => {
      const [os = "", architecture = "", variant] = name.split("/");
      return { descriptor: name, platform: { os, architecture, variant } };
    });
  const machine = (name: string) => offer(name)[0]!.platform;

  test.each([
    ["linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"],
    ["linux/arm64", ["linux/arm64/v8"], "linux/arm64/v8"],
    ["linux/arm64/v8", ["linux/arm64"], "linux/arm64"],
    ["linux/arm64/v9", ["linux/arm64/v8", "linux/arm64/v9"], "linux/arm64/v9"],
    ["linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v8"], "linux/arm/v6"],
    ["linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"],
    ["linux/amd64", ["linux/amd64/v3", "linux/amd64"], "linux/amd64"],
    ["linux/amd64", ["linux/amd64", "linux/amd64"], "linux/amd64"],
  ])("%s of %j", (wanted, offered, expected) => {
    expect(selectPlatform(offer(...offered), machine(wanted), "x")).toBe(expected);
  });

  test.each([
    ["linux/amd64", []],
    ["linux/amd64", ["linux/arm64", "windows/amd64", "unknown/unknown"]],
    ["linux/amd64", ["linux/amd64/v3"]],
    ["linux/arm64", ["linux/arm64/v9"]],
  ])("nothing for %s in %j", (wanted, offered) => {
    expect(() => selectPlatform(offer(...offered), machine(wanted), "x")).toThrow(
      expect.objectContaining({ code: "IMAGE_NO_PLATFORM", blame: "job" }),
    );
  });

  test("an entry without a platform is chosen only where no other fits", () => {
    const unnamed = [{ descriptor: "first" }, { descriptor: "second" }];
    expect(selectPlatform([...unnamed, ...offer("linux/amd64")], machine("linux/amd64"), "x")).toBe(
      "linux/amd64",
    );
    expect(selectPlatform([...offer("linux/arm64"), ...unnamed], machine("linux/amd64"), "x")).toBe("first");
    const empty = { descriptor: "empty", platform: { os: "", architecture: "" } };
    expect(selectPlatform([empty], machine("linux/amd64"), "x")).toBe("empty");
    expect(fitsPlatform(machine("linux/arm64"), machine("linux/amd64"))).toBe(false);
  });
});

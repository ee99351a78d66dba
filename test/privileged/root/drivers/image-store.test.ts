/** Images run from where podman's own library has put them: found by name, digest and id, whiteouts and all. */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nameBigData } from "../../../../agent/oci/containers-storage.ts";
import { parseImageReference } from "../../../../agent/oci/reference.ts";
import { type ImageStore, openImageStore } from "../../../../agent/root/drivers/image-store.ts";
import { ensureBusyboxImage } from "../../../../qemu/test-image/busybox-image.ts";
import { ensureToolsRoot } from "../../../../qemu/tools-root.ts";
import { createScratch, type Scratch } from "../scratch.ts";

const NAME = "registry.farm:5000/test/busybox:1";
const log = () => {};

let scratch: Scratch;
let folder: string;
let store: ImageStore;

beforeAll(async () => {
  scratch = createScratch();
  folder = mkdtempSync(join(tmpdir(), "image-store-"));
  const tools = await ensureToolsRoot({ log });
  const image = await ensureBusyboxImage(tools, { log });
  const to = `containers-storage:[overlay@${folder}/graph+${folder}/run]${NAME}`;
  await tools.run("skopeo", ["copy", "--quiet", "--insecure-policy", `oci:${image}:latest`, to]);
  store = openImageStore(join(folder, "graph"));
}, 120_000);
afterAll(() => {
  scratch.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("an image store", () => {
  it("mounts an image with its layers, and does not change", async () => {
    const found = store.find(parseImageReference(NAME))!;
    expect(found.config.cmd).toEqual(["/bin/sh", "-c", "echo busybox image: ok"]);
    const root = await found.mount(scratch.newRootOptions());
    expect(readFileSync(join(root.path, "etc/motd"), "utf8")).toBe("layer 2\n");
    expect(existsSync(join(root.path, "removed"))).toBe(false);
    expect(existsSync(join(root.path, "opaque/below"))).toBe(false);
    writeFileSync(join(root.path, "etc/motd"), "by the test");
    await root.unmount();
    const again = await store.find({ id: found.id.slice(0, 12) })!.mount(scratch.newRootOptions());
    expect(readFileSync(join(again.path, "etc/motd"), "utf8")).toBe("layer 2\n");
    await again.unmount();
  });

  it("is checked against a digest in the job", () => {
    const images = join(folder, "graph/overlay-images");
    const [{ id, digest }] = JSON.parse(readFileSync(join(images, "images.json"), "utf8"));
    const pinned = (pin: string) => parseImageReference(`registry.farm:5000/test/busybox@${pin}`);
    // Of the index that was copied, and of the manifest that it names.
    expect(store.find(pinned(digest))).toBeDefined();
    const manifest = readFileSync(join(images, id, "manifest"));
    const ofManifest = `sha256:${createHash("sha256").update(manifest).digest("hex")}`;
    expect(store.find(pinned(ofManifest))).toBeDefined();
    const forged = `sha256:${"f".repeat(64)}`;
    writeFileSync(join(images, id, nameBigData(`manifest-${forged}`)), manifest);
    expect(store.find(pinned(forged))).toBeUndefined();
  });

  it.each([
    ["another tag", parseImageReference("registry.farm:5000/test/busybox:2")],
    ["another digest", parseImageReference(`registry.farm:5000/test/busybox@sha256:${"0".repeat(64)}`)],
    ["another id", { id: "0123456789ab" }],
  ])("does not find %s", (_name, image) => {
    expect(store.find(image)).toBeUndefined();
  });

  it("is refused if podman did not create it", () => {
    expect(() => openImageStore(folder)).toThrowError(
      expect.objectContaining({ code: "IMAGE_STORE_INVALID" }),
    );
  });
});

/** A tmpfs of its own for one test file, a driver on it, and sources out of bytes. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mount, umount } from "../../../agent/kernel/syscalls.ts";
import { createOverlayDriver, type OverlayDriverOptions } from "../../../agent/root/drivers/overlay.ts";
import type { LayerSource, RootLayer, RootOptions } from "../../../agent/root/root-driver.ts";
import { createUnpackPool } from "../../../agent/root/unpack/pool.ts";
import { buildTar, type Member } from "../../unit/archive/tar-builder.ts";

/** Workers take a while to start; they are as good for the next test. */
const pool = createUnpackPool();

export function sourceOf(
  bytes: Buffer,
  facts: Omit<LayerSource, "open"> = {},
  pieceBytes = 65_536,
): LayerSource {
  return {
    ...facts,
    async open() {
      return (async function* () {
        for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
      })();
    },
  };
}

export interface Scratch {
  path: string;
  storeDir: string;
  createDriver(options?: Partial<OverlayDriverOptions>): ReturnType<typeof createOverlayDriver>;
  /** Fresh directories for one mounted root. */
  newRootOptions(): RootOptions;
  /** Of the driver's layer number `index`. */
  layerPath(index: number): string;
  addMembers(driver: ReturnType<typeof createOverlayDriver>, members: readonly Member[]): Promise<RootLayer>;
  close(): void;
}

export function createScratch(options = "size=256m,mode=0755"): Scratch {
  const path = mkdtempSync(join(tmpdir(), "dutboot-root-"));
  mount({ type: "tmpfs", source: "scratch", target: path, data: options });
  let stores = 0;
  let roots = 0;
  const scratch: Scratch = {
    path,
    storeDir: "",
    createDriver(more = {}) {
      scratch.storeDir = join(path, `store${stores++}`);
      mkdirSync(scratch.storeDir);
      return createOverlayDriver({ storeDir: scratch.storeDir, pool, ...more });
    },
    newRootOptions() {
      const base = join(path, `root${roots++}`);
      return { target: join(base, "root"), upperDir: join(base, "rw/upper"), workDir: join(base, "rw/work") };
    },
    layerPath: (index) => join(scratch.storeDir, "layers", String(index)),
    addMembers: (driver, members) => driver.addLayer(sourceOf(buildTar(members))),
    close() {
      umount(path, { lazy: true });
      rmSync(path, { recursive: true });
    },
  };
  return scratch;
}

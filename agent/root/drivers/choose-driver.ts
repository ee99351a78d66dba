/**
 * Which driver makes the root: composefs where the kernel really mounts one, else directories stacked by overlayfs.
 * Found by trying on a tiny image, because versions and configurations do not tell (docs/architecture.md, "composefs").
 */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeErofsImage } from "../../composefs/erofs-image.ts";
import { createNode, S_IFDIR } from "../../composefs/file-tree.ts";
import { AgentError } from "../../errors.ts";
import type { RootDriverChoice } from "../../job/job.ts";
import { umount } from "../../kernel/syscalls.ts";
import { mountComposefs } from "../mount/composefs.ts";
import type { RootDriver } from "../root-driver.ts";
import { type ComposefsDriverOptions, createComposefsDriver } from "./composefs.ts";
import { createOverlayDriver } from "./overlay.ts";

export interface ChooseDriverOptions extends ComposefsDriverOptions {
  /** On the same file system as the root's writable layer will be. */
  scratchDir: string;
}

/** Says what was taken and why. Throws ROOT_COMPOSEFS_UNAVAILABLE when composefs is a must and cannot be. */
export function chooseRootDriver(choice: RootDriverChoice, options: ChooseDriverOptions): RootDriver {
  const { scratchDir, log } = options;
  if (choice !== "overlay") {
    const probe = probeComposefs(options);
    if ("form" in probe) {
      log.info(`root: by composefs (${choice}): the kernel mounts it, ${probe.form}`);
      return createComposefsDriver(options);
    }
    if (choice === "composefs") {
      throw new AgentError(
        "ROOT_COMPOSEFS_UNAVAILABLE",
        `Cannot make the root by composefs: ${probe.refusal}`,
      );
    }
    log.warn(`root: by overlay: composefs does not work here: ${probe.refusal}`);
  } else log.info("root: by overlay, as the job says");
  return createOverlayDriver({ storeDir: scratchDir, pool: options.pool });
}

function probeComposefs({ store, scratchDir }: ChooseDriverOptions): { form: string } | { refusal: string } {
  const base = join(scratchDir, "probe");
  const place = (name: string) => join(base, name);
  const imagePath = join(scratchDir, "probe.erofs");
  writeFileSync(imagePath, writeErofsImage(createNode(S_IFDIR | 0o755)));
  try {
    const form = mountComposefs({
      imagePath,
      objectsDir: store.objectsDir,
      usesAcl: false,
      requireVerity: store.seals,
      metaDir: place("meta"),
      target: place("root"),
      upperDir: place("upper"),
      workDir: place("work"),
    });
    umount(place("root"));
    return { form };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return { refusal: error.message };
  } finally {
    rmSync(base, { recursive: true, force: true });
    rmSync(imagePath, { force: true });
  }
}

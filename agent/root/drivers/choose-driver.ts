/**
 * Chooses the root driver: composefs where the kernel can mount one, else overlay.
 * Mounts a tiny image to find out: kernel versions and configurations do not tell (docs/architecture.md, "Composefs").
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
  /** On the file system of the root's writable layer. */
  scratchDir: string;
}

/** Logs the choice and its reason. Throws ROOT_COMPOSEFS_UNAVAILABLE when the job requires composefs. */
export function chooseRootDriver(choice: RootDriverChoice, options: ChooseDriverOptions): RootDriver {
  const { scratchDir, log } = options;
  if (choice !== "overlay") {
    const probe = probeComposefs(options);
    if ("form" in probe) {
      log.info(`root: using composefs (${choice}): ${probe.form}`);
      return createComposefsDriver(options);
    }
    if (choice === "composefs") {
      throw new AgentError(
        "ROOT_COMPOSEFS_UNAVAILABLE",
        `Cannot use composefs for the root: ${probe.refusal}`,
      );
    }
    log.warn(`root: using overlay: composefs is not available: ${probe.refusal}`);
  } else log.info("root: using overlay, as the job requests");
  return createOverlayDriver({ storeDir: scratchDir, pool: options.pool });
}

function probeComposefs({ store, scratchDir }: ChooseDriverOptions): { form: string } | { refusal: string } {
  const base = join(scratchDir, "probe");
  const pathOf = (name: string) => join(base, name);
  const imagePath = join(scratchDir, "probe.erofs");
  writeFileSync(imagePath, writeErofsImage(createNode(S_IFDIR | 0o755)));
  try {
    const form = mountComposefs({
      imagePath,
      objectsDir: store.objectsDir,
      usesAcl: false,
      requireVerity: store.seals,
      metaDir: pathOf("meta"),
      target: pathOf("root"),
      upperDir: pathOf("upper"),
      workDir: pathOf("work"),
    });
    umount(pathOf("root"));
    return { form };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return { refusal: error.message };
  } finally {
    rmSync(base, { recursive: true, force: true });
    rmSync(imagePath, { force: true });
  }
}

/** A mounted root that is written into in place. */
import { AgentError } from "../../errors.ts";
import { unmountRoot } from "../mount/overlay.ts";
import type { MountedRoot } from "../root-driver.ts";
import type { UnpackPool } from "./pool.ts";

export function createWritableRoot(path: string, pool: UnpackPool): MountedRoot {
  return {
    path,
    async unpackArchive(source, to, options) {
      const { digest, diffId, sizeBytes, parts } = source;
      if (digest === undefined && parts?.tableDigest !== undefined) {
        throw new AgentError(
          "ARTIFACT_PARTIAL_PULL_FAILED",
          "Cannot pull the archive: an overlay root needs a full download, which toc= does not cover",
        );
      }
      const job = { kind: "artifact", rootPath: path, to, digest, diffId, sizeBytes } as const;
      const { files, contentBytes, warnings } = await pool.unpack(job, source, options);
      return { files, bytes: contentBytes, warnings };
    },
    unmount: async () => unmountRoot(path),
  };
}

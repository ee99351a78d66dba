/** Unpacks an archive straight into a mounted root; the same for every root that is written into in place. */
import { AgentError } from "../../errors.ts";
import type { LayerSource, UnpackedArchive, UnpackOptions } from "../root-driver.ts";
import type { UnpackPool } from "./pool.ts";

/** As MountedRoot's `unpackArchive`. */
export async function unpackIntoRoot(
  rootPath: string,
  pool: UnpackPool,
  source: LayerSource,
  to: string,
  options: UnpackOptions = {},
): Promise<UnpackedArchive> {
  requireDigestOfWhole(source);
  const { digest, diffId, sizeBytes } = source;
  const { files, contentBytes, warnings } = await pool.unpack(
    {
      kind: "artifact",
      rootPath,
      to,
      digest,
      diffId,
      sizeBytes,
    },
    source,
    options,
  );
  return { files, bytes: contentBytes, warnings };
}

/** The archive is taken whole: a table of contents vouches for nothing here. */
function requireDigestOfWhole({ digest, parts }: LayerSource): void {
  if (digest !== undefined || parts?.tableDigest === undefined) return;
  throw new AgentError(
    "ARTIFACT_PARTIAL_PULL_FAILED",
    "Cannot take the archive, of which only the table of contents is vouched for: an overlay root takes archives whole",
  );
}

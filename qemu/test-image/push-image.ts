/**
 * Pushes an OCI layout to the farm's registry with skopeo, and pulls one back, without changing any digest.
 */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Farm } from "../farm/farm.ts";

export interface PushOptions {
  signal?: AbortSignal;
}

/** Pushes the layout's image `latest` as `name:tag` and returns the digest of the tag. */
export async function pushImage(
  farm: Farm,
  layout: string,
  nameAndTag: string,
  options: PushOptions = {},
): Promise<string> {
  const digestPath = join(farm.path, `digest-${nameAndTag.replaceAll(/[^\w.-]/g, "_")}`);
  await farm.tools.run(
    "skopeo",
    [
      ...["copy", "--quiet", "--insecure-policy", "--all", "--preserve-digests", "--digestfile", digestPath],
      ...["--dest-authfile", farm.registry.authFilePath, "--dest-cert-dir", dirname(farm.registry.caPath)],
      ...[`oci:${layout}:latest`, `docker://${farm.registry.hostAddress}/${nameAndTag}`],
    ],
    options,
  );
  return (await readFile(digestPath, "utf8")).trim();
}

/** Pulls `name:tag` into a new OCI layout as `latest`. */
export async function pullImage(
  farm: Farm,
  nameAndTag: string,
  layout: string,
  options: PushOptions = {},
): Promise<void> {
  await farm.tools.run(
    "skopeo",
    [
      ...["copy", "--quiet", "--insecure-policy", "--all", "--preserve-digests"],
      ...["--src-authfile", farm.registry.authFilePath, "--src-cert-dir", dirname(farm.registry.caPath)],
      ...[`docker://${farm.registry.hostAddress}/${nameAndTag}`, `oci:${layout}:latest`],
    ],
    options,
  );
}

/**
 * The credentials for the farm: the files of /etc/dutboot/credentials.
 * Formats: AWS's shared credentials file, containers-auth.json(5), PEM.
 */
import type { Farm } from "./farm.ts";
import { formatRegistryAuth } from "./registry.ts";

/** Contents by file name: `s3`, `registry.json` and `ca.pem`. */
export function formatFarmCredentials({
  registry,
  s3,
}: Pick<Farm, "registry" | "s3">): Record<string, string> {
  return {
    s3: `[default]\naws_access_key_id=${s3.accessKey}\naws_secret_access_key=${s3.secretKey}\n`,
    "registry.json": formatRegistryAuth(registry),
    "ca.pem": registry.caPem,
  };
}

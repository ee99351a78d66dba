/**
 * Paths of the project, and the versions that its lock file pins.
 * Only the lock file determines the Node version of the image.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BuildError } from "./build-error.ts";

export const PROJECT_ROOT = fileURLToPath(new URL("..", import.meta.url));
export const NODE_MODULES = join(PROJECT_ROOT, "node_modules");

export interface PinnedPackage {
  name: string;
  version: string;
  /** Subresource integrity: `sha512-` and base64. */
  integrity: string;
}

/** Returns the version that package-lock.json pins for a package. */
export function readPin(name: string): PinnedPackage {
  const lock = JSON.parse(readFileSync(join(PROJECT_ROOT, "package-lock.json"), "utf8")) as {
    packages: Record<string, { version?: string; integrity?: string }>;
  };
  const { version, integrity } = lock.packages[`node_modules/${name}`] ?? {};
  if (!version || !integrity) {
    throw new BuildError(`Cannot find "${name}" in package-lock.json: no version with a hash`);
  }
  return { name, version, integrity };
}

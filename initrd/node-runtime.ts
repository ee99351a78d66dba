/**
 * The Node binary and its headers for an architecture, as package-lock.json pins them.
 * The host's comes from node_modules; npm fetches the other one, which is compared with the lock file's sha512.
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Architecture, toolFor } from "./architecture.ts";
import { fillCached } from "./build-cache.ts";
import { BuildError } from "./build-error.ts";
import { NODE_MODULES, type PinnedPackage, readPin } from "./project.ts";
import { runCommand } from "./run-command.ts";

/** Increase when the way of stripping changes. */
const STRIP_RECIPE = 1;

/** Returns the unpacked npm package (bin/node, include/node) for the architecture. */
export async function fetchNodePackage(architecture: Architecture): Promise<string> {
  const installed = join(NODE_MODULES, architecture.nodePackage);
  if (existsSync(join(installed, "bin/node"))) return installed;
  const pin = readPin(architecture.nodePackage);
  const { path } = await fillCached({ kind: "node", key: pin }, (folder) => fetchPinned(pin, folder));
  return join(path, "package");
}

async function fetchPinned(pin: PinnedPackage, folder: string): Promise<void> {
  const packed = await runCommand("npm", [
    ...["pack", `${pin.name}@${pin.version}`],
    ...["--pack-destination", folder, "--json", "--ignore-scripts"],
  ]);
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  const tarball = join(folder, filename);
  const hash = createHash("sha512");
  await pipeline(createReadStream(tarball), hash);
  const integrity = `sha512-${hash.digest("base64")}`;
  if (integrity !== pin.integrity) {
    throw new BuildError(
      `Cannot use ${pin.name}@${pin.version}: its hash is ${integrity}, package-lock.json says ${pin.integrity}`,
    );
  }
  await runCommand("tar", ["-xzf", tarball, "-C", folder, "package/bin", "package/include"]);
  await runCommand("rm", [tarball]);
}

/** Strips the binary: 109 MB instead of 127 MB. */
export async function stripNode(architecture: Architecture): Promise<string> {
  const nodePackage = await fetchNodePackage(architecture);
  const strip = toolFor(architecture, "strip");
  const version = (await runCommand(strip, ["--version"])).split("\n")[0];
  const key = { pin: readPin(architecture.nodePackage), version, recipe: STRIP_RECIPE };
  const { path } = await fillCached({ kind: "node-stripped", key }, async (folder) => {
    await mkdir(folder, { recursive: true });
    await runCommand(strip, ["--strip-all", "-o", join(folder, "node"), join(nodePackage, "bin/node")]);
  });
  return join(path, "node");
}

/**
 * Compiles the native modules for this machine and installs them. Reports for each what was built or reused.
 * setup.sh calls it after npm has installed the packages.
 */
import { installHostNatives } from "../initrd/natives.ts";

for (const { name, reused, path } of await installHostNatives()) {
  console.log(`setup: ${name}: ${reused ? "reused from" : "compiled into"} ${path}`);
}

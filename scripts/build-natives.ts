/**
 * Compiles the native modules for this machine and puts them in place; one line each says what was made or reused.
 * Called by setup.sh after npm has installed the packages.
 */
import { installHostNatives } from "../initrd/natives.ts";

for (const { name, reused, path } of await installHostNatives()) {
  console.log(`setup: ${name}: ${reused ? "reused from" : "compiled into"} ${path}`);
}

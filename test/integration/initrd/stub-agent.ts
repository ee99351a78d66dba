/** A stand-in for the agent: loads the natives the way the agent does and says what it found. */
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { compress, decompress } from "zstd-napi";

const door = createRequire(import.meta.url)("./sys.node") as { syscall(...words: unknown[]): number };
const GETPID = process.arch === "arm64" ? 172 : 39;
const samePid = door.syscall(GETPID) === process.pid;
const roundTrip = decompress(compress(Buffer.from("round trip"))).toString() === "round trip";
console.log(`stub: arch=${process.arch} node=${process.version} door=${samePid} zstd=${roundTrip}`);
if (process.env.DUTBOOT_IMAGE_CHECKED_MS) {
  console.log(`stub: image checked at ${process.env.DUTBOOT_IMAGE_CHECKED_MS} ms`);
  console.log(`stub: uptime ${readFileSync("/proc/uptime", "utf8").trim()}`);
  writeFileSync("/run/dutboot/phase", "machine");
}

/** A stand-in for the agent: loads the native modules as the agent does, prints what it found, and dies as `stub=` says. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { compress, decompress } from "zstd-napi";
import { readSupervisorFacts } from "../../../agent/job/supervisor-facts.ts";
import { PATHS } from "../../../agent/paths.ts";
import { FactsFile } from "../../../agent/wiring/facts-file.ts";

const sys = createRequire(import.meta.url)("./sys.node") as { syscall(...words: unknown[]): number };
const GETPID = process.arch === "arm64" ? 172 : 39;
const samePid = sys.syscall(GETPID) === process.pid;
const roundTrip = decompress(compress(Buffer.from("round trip"))).toString() === "round trip";
console.log(`stub: arch=${process.arch} node=${process.version} sys=${samePid} zstd=${roundTrip}`);

// Only on a DUT: the supervisor passes the time that the comparison of the image took.
if (process.env.DUTBOOT_IMAGE_CHECK_MS) {
  const oomScore = readFileSync("/proc/self/oom_score_adj", "utf8").trim();
  console.log(`stub: image checked in ${process.env.DUTBOOT_IMAGE_CHECK_MS} ms, oom_score_adj ${oomScore}`);
  console.log(`stub: environment ${Object.keys(process.env).sort().join(" ")}`);
  const line = readFileSync("/proc/cmdline", "utf8");
  const [, death] = /\bstub=(\S+)/.exec(line) ?? [];
  if (death === "early") process.exit(4);
  const facts = new FactsFile(PATHS.facts, readSupervisorFacts(line));
  facts.update({ phase: "run" });
  if (death === "exit3") process.exit(3);
  if (death === "killed") process.kill(process.pid, "SIGKILL");
  if (death === "silent") for (;;);
  if (death === "heap") for (const all: string[][] = []; ; ) all.push(Array(100_000).fill("heap"));
  if (death === "memory") {
    writeFileSync("/proc/self/oom_score_adj", "1000");
    for (const all: Buffer[] = []; ; ) all.push(Buffer.alloc(16 * 1024 * 1024, "full"));
  }
  if (death === "watchdog") {
    execFileSync("modprobe", ["i6300esb", "heartbeat=10"]);
    // Longer than the watchdog's timeout: it was fed.
    setTimeout(() => {
      console.log("stub: stops the supervisor");
      process.kill(process.ppid, "SIGSTOP");
    }, 15_000);
  }
  if (death === "supervisor") {
    process.kill(process.ppid, "SIGKILL");
    setInterval(() => {}, 1000);
  }
}

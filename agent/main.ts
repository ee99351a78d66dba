/** The agent's main program: leaves the supervisor its facts, builds the services, runs the phases and always reaches the end. */
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { readSupervisorFacts } from "./job/supervisor-facts.ts";
import { PATHS } from "./paths.ts";
import { boot } from "./phases/boot.ts";
import { startHeartbeat } from "./report/log/heartbeat.ts";
import { mountResults } from "./report/results/list-results.ts";
import { endMachine } from "./sys/machine/power.ts";
import { readRuntimeInfo, startSampling } from "./sys/machine/resource-samples.ts";
import { createBootAdapters } from "./wiring/boot-adapters.ts";
import { type BootContext, createBootContext } from "./wiring/boot-context.ts";
import { Ending } from "./wiring/ending.ts";
import { FactsFile } from "./wiring/facts-file.ts";

async function main(): Promise<void> {
  const commandLine = readFileSync("/proc/cmdline", "utf8");
  const lineFacts = readSupervisorFacts(commandLine);
  const facts = new FactsFile(PATHS.facts, lineFacts);
  startHeartbeat(PATHS.heartbeat);
  // The supervisor makes every kernel reboot after a panic.
  if (lineFacts.staysInPanic) writeFileSync("/proc/sys/kernel/panic", "0");
  mountResults(PATHS.results);
  const context = createBootContext(commandLine, facts);
  const exit = (code: number) => process.exit(code);
  const ending = new Ending(context, { endMachine, exit, sleep });
  process.on("uncaughtException", (error) => void ending.fail(error));
  process.on("unhandledRejection", (error) => void ending.fail(error));
  announceStart(context);
  startSampling({
    onSample: (sample) => ending.isUnderWay || context.events.emit({ event: "sample", ...sample }),
  });
  await ending.finish(await boot(context.runner, createBootAdapters(context)));
}

function announceStart({ announcer, bootId, build, events, log }: BootContext): void {
  const info = readRuntimeInfo(build.version);
  announcer.setupStarted(info);
  log.info(`dutboot ${build.version} on ${process.arch}, Node ${process.versions.node}, boot ${bootId}`);
  events.emit({ event: "start", agent: build.version, bootId });
  const { linuxVersion: kernel, architecture, cpu, ramBytes } = info;
  events.emit({ event: "machine", kernel, architecture, cpu, ramBytes });
}

if (process.argv.includes("--version")) {
  process.stdout.write(`dutboot agent on Node ${process.versions.node}\n`);
} else {
  // A rejection ends the process where the handlers are not set yet; the supervisor then gives the verdict.
  void main();
}

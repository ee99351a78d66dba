/**
 * The agent's composition root: builds the adapters, runs the phases and always reaches the end.
 * It runs under busybox init on the DUT; should it die all the same, init prints the last verdict (initrd/files).
 */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { toAgentError } from "./errors.ts";
import { createFactsReader } from "./page/report-facts.ts";
import { PATHS } from "./paths.ts";
import { type BootResult, boot } from "./phases/boot.ts";
import { createPhaseRunner } from "./phases/phase-runner.ts";
import { createRedaction } from "./redaction/redaction.ts";
import { createAnnouncer } from "./report/console/b2c-announcer.ts";
import { createPhaseSections } from "./report/console/gitlab-sections.ts";
import { createEventStream } from "./report/log/event-stream.ts";
import { startHeartbeat } from "./report/log/heartbeat.ts";
import { keepKernelLog } from "./report/log/kernel-log.ts";
import { createLog } from "./report/log/log.ts";
import { NetworkLog } from "./report/network-log/network-log.ts";
import { OutputBus } from "./report/output-bus.ts";
import { createAgentFiles } from "./report/results/agent-files.ts";
import { mountResults } from "./report/results/list-results.ts";
import { printReproduction } from "./report/results/reproduction.ts";
import { startSampling } from "./sys/machine/resource-samples.ts";
import { readRuntimeInfo } from "./sys/machine/runtime-info.ts";
import { readUptimeMs } from "./sys/machine/uptime.ts";
import { formatSeconds } from "./text.ts";
import { createVerdict, formatVerdictLine, formatVerdictLines, type Verdict } from "./wire/verdict.ts";
import { createBootAdapters } from "./wiring/boot-adapters.ts";
import { createKernelConsoles } from "./wiring/consoles.ts";
import { createJobSource } from "./wiring/job-source.ts";
import { AGENT_FILE_NAMES } from "./wiring/result-writers.ts";
import { endJob } from "./wiring/shutdown.ts";

interface BuildInfo {
  version: string;
  buildTimeMs: number;
}

async function main(): Promise<void> {
  startHeartbeat(PATHS.alive);
  mountResults(PATHS.results);
  const build = JSON.parse(readFileSync(PATHS.buildInfo, "utf8")) as BuildInfo;
  // The keeper made it: it may have to give the verdict in our place.
  const bootId = process.env.DUTBOOT_BOOT_ID || randomBytes(4).toString("hex");
  const redaction = createRedaction();
  const console_ = createKernelConsoles({ readUptimeMs, warn: (message) => log.warn(message) });
  const lost = (error: Error) => console_.line(`dutboot: the log file is cut short: ${error.message}`);
  const files = createAgentFiles(PATHS.results, {
    warn: (message) => log.warn(message),
    redact: redaction.redactFile,
    reserved: AGENT_FILE_NAMES,
  });
  const logFile = files.openLog("dutboot.log", lost);
  const recordsFile = files.openLog("events.jsonl", lost);
  const reportFacts = createFactsReader();
  const keepRecord = (line: string) => {
    recordsFile.write(line);
    reportFacts.add(line);
  };
  const log = createLog({
    redaction,
    readUptimeMs,
    onLine: (line) => output.logLine(line),
    onRecord: keepRecord,
  });
  const { clean } = redaction;
  const networkLog = new NetworkLog({ log, boot: bootId, readUptimeMs, clean });
  const output = new OutputBus({ console: console_, networkLog, logFile, redaction });
  const events = createEventStream({
    readUptimeMs,
    clean: redaction.cleanValue,
    onLine: keepRecord,
  });
  const source = createJobSource({ log });
  // Before the kernel's messages are kept: the line is one of them.
  for (const secret of source.secrets) redaction.hide(secret);
  const kernelLog = keepKernelLog({
    files,
    clean,
    warn: (message) => log.warn(message),
    onShownLine: (line) => output.kernelLine(line),
  });
  const moments = { console: output, readUptimeMs, nowMs: () => Math.max(Date.now(), build.buildTimeMs) };
  const announcer = createAnnouncer(source.dialect, moments);
  const sections = source.hasSections ? createPhaseSections(moments) : undefined;
  const runner = createPhaseRunner({
    bootId,
    log,
    emit: events.emit,
    onStart(phase) {
      writeFileSync(PATHS.phase, phase);
      sections?.started(phase);
    },
    onEnd: () => sections?.ended(),
    readSilenceMs: () => output.readSilenceMs(),
  });

  let sampling: ReturnType<typeof startSampling> | undefined;
  const finish = async ({ verdict: found, steps, job }: BootResult) => {
    const verdict = redaction.cleanValue(found);
    const peakRssBytes = process.resourceUsage().maxRSS * 1024;
    log.info(formatPhaseTable(verdict, peakRssBytes));
    if (job) printReproduction({ line: source.line, job, log });
    // For whoever looks at the DUT itself.
    files.write("verdict.json", JSON.stringify(verdict));
    sampling?.stop();
    events.emit({ event: "end", verdict, peakRssBytes });
    await events.close();
    const line = redaction.clean(formatVerdictLine(verdict));
    logFile.write(`${line}\n`);
    announcer.ended(1);
    for (const numbered of formatVerdictLines(line, bootId)) {
      output.line(numbered);
      await output.flush();
    }
    writeFileSync(PATHS.verdictPrinted, "");
    const mode = readOnExitIfKnown();
    // A line that is no job may still say how to end: init looks for that in it (initrd/files/end-machine).
    if (mode === undefined) {
      await networkLog.close();
      process.exit(1);
    }
    await endJob(steps?.endsMachine ?? mode, {
      announcer,
      output,
      variables: steps?.variables ?? {},
      ...(job?.machine?.end && { end: job.machine.end }),
    });
  };
  let ending: Promise<void> | undefined;
  // Once: whatever breaks while we end must not give a second verdict. What we cannot finish, init does.
  const finishOnce = (result: BootResult) => {
    ending ??= finish(result).catch((error: unknown) => {
      console_.line(redaction.clean(`dutboot: the end is left to init: ${error}`));
      process.exit(1);
    });
    return ending;
  };

  // An error outside of every phase is a bug of ours; the verdict still comes, once.
  const finishBroken = (thrown: unknown) => {
    const failure = runner.firstFailure ?? { phase: readPhase(), error: toAgentError(thrown) };
    log.error({ err: thrown }, `the agent cannot go on: ${toAgentError(thrown).message}`);
    const facts = { bootId, records: runner.records, firstFailure: failure };
    void finishOnce({ verdict: createVerdict(facts, null) });
  };
  process.on("uncaughtException", finishBroken);
  process.on("unhandledRejection", finishBroken);

  const info = readRuntimeInfo(build.version);
  announcer.setupStarted(info);
  log.info(`dutboot ${build.version} on ${process.arch}, Node ${process.versions.node}, boot ${bootId}`);
  events.emit({ event: "start", agent: build.version, bootId });
  const { linuxVersion: kernel, architecture, cpu, ramBytes } = info;
  events.emit({ event: "machine", kernel, architecture, cpu, ramBytes });
  sampling = startSampling({ onSample: (sample) => events.emit({ event: "sample", ...sample }) });
  const adapters = createBootAdapters({
    runner,
    log,
    logFile,
    files,
    bootId,
    kernelLog,
    output,
    consoles: console_,
    events,
    reportFacts,
    redaction,
    announcer,
    networkLog,
    source,
    build,
  });
  await finishOnce(await boot(runner, adapters));
}

function formatPhaseTable(verdict: Verdict, peakRssBytes: number): string {
  const rows = verdict.phases.map(({ name, outcome, durationMs }) => {
    return `  ${name.padEnd(10)}${outcome.padEnd(9)}${formatSeconds(durationMs).padStart(9)}`;
  });
  return ["phases:", ...rows, `  agent memory at its peak: ${(peakRssBytes / 1e6).toFixed(0)} MB`].join("\n");
}

function readPhase(): string {
  return readFileSync(PATHS.phase, "utf8");
}

/** undefined while no job is known. */
function readOnExitIfKnown(): "poweroff" | "reboot" | "halt" | undefined {
  if (!existsSync(PATHS.onExit)) return undefined;
  const wish = readFileSync(PATHS.onExit, "utf8");
  return wish === "reboot" || wish === "halt" ? wish : "poweroff";
}

if (process.argv.includes("--version")) {
  process.stdout.write(`dutboot agent on Node ${process.versions.node}\n`);
} else {
  // A rejection reaches the handlers that main has set first of all, or ends the process and init speaks.
  void main();
}

/**
 * The services that every part of a boot uses. They are made once, before the first phase, and none of them needs a job;
 * what depends on the job is passed from phase to phase instead.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createStepRecorder } from "../junit/step-cases.ts";
import { createFactsReader } from "../page/report-facts.ts";
import { PATHS } from "../paths.ts";
import { createPhaseRunner } from "../phases/phase-runner.ts";
import type { SyncHook } from "../phases/sync-results.ts";
import { listCredentialSecrets } from "../redaction/credential-secrets.ts";
import { createRedaction, type Redaction } from "../redaction/redaction.ts";
import { createAnnouncer } from "../report/console/b2c-announcer.ts";
import { createPhaseSections } from "../report/console/gitlab-sections.ts";
import { createEventStream } from "../report/log/event-stream.ts";
import { keepKernelLog } from "../report/log/kernel-log.ts";
import { createLog } from "../report/log/log.ts";
import { NetworkLog } from "../report/network-log/network-log.ts";
import { OutputBus } from "../report/output-bus.ts";
import { createAgentFiles } from "../report/results/agent-files.ts";
import { type Credentials, createCredentials } from "../sys/machine/credentials.ts";
import { createModuleLoader } from "../sys/machine/modules.ts";
import { readUptimeMs } from "../sys/machine/uptime.ts";
import { createJobConsoles, createKernelConsoles } from "./consoles.ts";
import type { FactsFile } from "./facts-file.ts";
import { openJobSource } from "./job-source.ts";
import { ReleaseStack } from "./release-stack.ts";

/** Reserved in every job: a test's file of that name is kept under another. (`junit.xml` may be the test's.) */
const AGENT_FILE_NAMES = ["job.json", "manifest.json", "partial.json", "report.html", "verdict.json"];

export type BootContext = Readonly<ReturnType<typeof createBootContext>>;

interface BuildInfo {
  version: string;
  buildTimeMs: number;
}

export function createBootContext(commandLine: string, facts: FactsFile) {
  const build = JSON.parse(readFileSync(PATHS.buildInfo, "utf8")) as BuildInfo;
  // The supervisor chose it, as it may have to print the verdict itself.
  const bootId = process.env.DUTBOOT_BOOT_ID || randomBytes(4).toString("hex");
  const redaction = createRedaction();
  const { clean } = redaction;
  const warn = (message: string) => log.warn(message);
  const kernelConsoles = createKernelConsoles({ readUptimeMs, warn });
  const onLost = (error: Error) =>
    kernelConsoles.line(`dutboot: the log file is cut short: ${error.message}`);
  const files = createAgentFiles(PATHS.results, {
    warn,
    redact: redaction.redactFile,
    reserved: AGENT_FILE_NAMES,
  });
  const logFile = files.openLog("dutboot.log", onLost);
  const eventsFile = files.openLog("events.jsonl", onLost);
  const reportFacts = createFactsReader();
  const onRecord = (line: string) => {
    eventsFile.write(line);
    reportFacts.add(line);
  };
  const log = createLog({
    redaction,
    readUptimeMs,
    onLine: (line) => output.logLine(line),
    onRecord,
  });
  const networkLog = new NetworkLog({ log, boot: bootId, readUptimeMs, clean });
  const output = new OutputBus({ console: kernelConsoles, networkLog, logFile, redaction });
  const events = createEventStream({ readUptimeMs, clean: redaction.cleanValue, onLine: onRecord });
  const source = openJobSource(commandLine, log);
  // The kernel log holds the command line, so its secrets must be known before it is followed.
  for (const secret of source.secrets) redaction.hide(secret);
  const clock = { console: output, readUptimeMs, nowMs: () => Math.max(Date.now(), build.buildTimeMs) };
  const sections = source.hasSections ? createPhaseSections(clock) : undefined;
  const runner = createPhaseRunner({
    bootId,
    log,
    emit: events.emit,
    onStart(phase) {
      facts.update({ phase });
      sections?.started(phase);
    },
    onEnd: () => sections?.ended(),
    readSilenceMs: () => output.readSilenceMs(),
  });
  const modules = createModuleLoader({ log });
  return {
    bootId,
    build,
    facts,
    source,
    redaction,
    log,
    warn,
    logFile,
    files,
    events,
    /** Made of all events so far. */
    reportFacts,
    kernelLog: keepKernelLog({ files, clean, warn, onShownLine: (line) => output.kernelLine(line) }),
    output,
    jobConsoles: createJobConsoles({
      consoles: kernelConsoles,
      log,
      line: commandLine,
      lookForDevices: modules.loadForDevices,
    }),
    networkLog,
    announcer: createAnnouncer(source.dialect, clock),
    runner,
    modules,
    credentials: hideCredentials(createCredentials({ log }), redaction),
    steps: createStepRecorder(),
    /** Run at intervals while the test runs. */
    syncHooks: [] as SyncHook[],
    releases: new ReleaseStack(),
  };
}

/** Credentials are redacted from the moment they are read. */
function hideCredentials({ read }: Credentials, { hide }: Redaction): Credentials {
  return {
    async read(name) {
      const bytes = await read(name);
      if (bytes) for (const secret of listCredentialSecrets(name, bytes)) hide(secret);
      return bytes;
    },
  };
}

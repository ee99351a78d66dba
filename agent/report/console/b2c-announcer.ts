/**
 * Reports a job's progress to boot2container farms, in the lines and GitLab sections that their executors match
 * (agent/wire/b2c-console.ts). Jobs of other dialects make the same calls, which print nothing.
 */
import type { Dialect } from "../../job/job.ts";
import {
  B2C_TEXTS,
  type CacheOutcome,
  formatB2cError,
  formatB2cLine,
  formatOutcome,
  formatRuntimeInfo,
  formatSectionEnd,
  formatSectionStart,
  type RuntimeInfo,
  type SectionId,
} from "../../wire/b2c-console.ts";
import { type Moment, momentAfter } from "../../wire/gitlab-section.ts";

export interface AnnouncerOptions {
  /** Gets whole lines, some of them with line ends inside; adds a line end. */
  console: { line(text: string): void };
  readUptimeMs: () => number;
  nowMs?: () => number;
}

/** Methods are called when the thing happens, in about this order; what a job does not need is not called. */
export type Announcer = ReturnType<typeof createAnnouncer>;

export function createAnnouncer(dialect: Dialect, options: AnnouncerOptions) {
  const { console: console_, readUptimeMs, nowMs = Date.now } = options;
  const now = () => ({ nowMs: nowMs(), uptimeMs: readUptimeMs() });
  // The submitter opened this one, by another clock.
  let openSection: { id: SectionId; at?: Moment } | undefined = { id: "b2c_kernel_boot" };
  let hasEnded = false;
  let hasStartedContainers = false;
  let hasStartedPosts = false;

  const print = (text: string) => {
    if (dialect === "b2c") console_.line(text.replace(/\n$/, ""));
  };
  const say = (text: string) => print(formatB2cLine(text, now()));
  const close = () => {
    if (!openSection) return;
    const { id, at } = openSection;
    openSection = undefined;
    print(formatSectionEnd(id, at ? momentAfter(at, readUptimeMs()) : now()));
  };
  const open = (id: SectionId, title: string) => {
    close();
    const at = now();
    print(formatSectionStart(id, title, at));
    openSection = { id, at };
  };
  /** An error that ends the job or a part of it. */
  const failed = (message: string) => {
    close();
    print(formatB2cError(message, now()));
  };
  /**
   * The result, for which executors wait. It is printed once, so that nothing can contradict it, and therefore only when nothing can
   * change it any more. Without this call the end of the machine reports 1.
   */
  const ended = (status: number) => {
    if (hasEnded) return;
    hasEnded = true;
    // GitLab would fold it away in an open section.
    close();
    say(B2C_TEXTS.status(status));
  };
  const finish = (text: string) => {
    ended(1);
    close();
    say(text);
  };

  return {
    failed,
    ended,
    /** The first call: ends the section in which the submitter keeps the output of firmware and kernel. */
    setupStarted(info: RuntimeInfo) {
      open("b2c_setup", "Setting up boot2container");
      open("runtime_info", "Runtime information");
      print(formatRuntimeInfo(info));
    },
    /** Modules that the job asks for. */
    modulesLoading: () => open("load_modules", "Load the kernel modules wanted by the user"),
    modulesLoaded: () => say(formatOutcome("Loading requested modules", true)),
    cacheMounting: () => open("mount_cache_partition", "Mount the cache partition"),
    cacheMounted: (outcome: CacheOutcome) => {
      for (const text of describeCache(outcome)) say(text);
    },
    networkConnecting: () => open("connect", "Connect to the network"),
    /** `kernel`: by the command line's `ip=`. */
    networkConnected(interfaces: readonly { name: string; address: string }[] | "kernel") {
      if (interfaces === "kernel") return say(B2C_TEXTS.ipIsSet);
      for (const { name, address } of interfaces) say(`Getting IP for network interface ${name}: ${address}`);
    },
    networkFailed: () => say("ERROR: Could not connect to the network, shutting down!"),
    clockSetting: () => open("ntp_set", "Synchronize the clock"),
    /** Without a server the clock was not set. */
    clockSet(server?: string, isSet = true) {
      if (server === undefined) say(B2C_TEXTS.clockLeftAlone);
      else say(formatOutcome(`Getting the time from the NTP server ${server}`, isSet));
    },
    extraArgumentsFetching: () => open("parse_extra_cmdline", "Download and parse the extra command line"),
    extraArgumentsFetched(isFetched: boolean) {
      if (isFetched) say("Parse the extra command line");
      else failed("Could not download the extra command line, shutting down!");
    },
    hostnameSetting: () => open("set_hostname", "Set the hostname"),
    keymapSetting: () => open("set_keymap", "Setting the keymap"),
    /** `path` is undefined for an unknown keymap. */
    keymapSet(name: string, path?: string, isLoaded = true) {
      if (path === undefined) failed(`Cannot find any keymap file named ${name}.kmap!`);
      else say(formatOutcome(`Loading keymap file ${path}`, isLoaded));
    },
    /** The machine is ready; images, volumes and containers follow. */
    pipelineStarted() {
      open("start_pipeline", "Run all the cmdline-specified containers");
      say("Run the containers");
    },
    volumesPrepared: () => say(B2C_TEXTS.volumesReady),
    hooksStarted: (name: string) => open("execute_hooks", `Execute the ${name} hooks`),
    hooksEnded: close,
    serviceStarted: () =>
      open("start_service_container", "Pull, create, init, and start the service container"),
    containerCreating() {
      if (!hasStartedContainers) say("Start the containers pipeline");
      hasStartedContainers = true;
      open("create_container", "Pull, create, and init the container");
    },
    /** The container's own output follows. */
    containerStarted: () => open("container_run", "About to start executing a container"),
    containerEnded(exitCode: number, { continues }: { continues: boolean }) {
      open("b2c_post_container", "gathering container results");
      say(exitCode === 0 ? B2C_TEXTS.containerPassed : B2C_TEXTS.containerFailed(exitCode, continues));
    },
    postStarted() {
      if (!hasStartedPosts) say("Running the post containers");
      hasStartedContainers = hasStartedPosts = true;
    },
    postEnded: () => open("b2c_post_container", "gathering container results"),
    cleanupStarted: () => open("cleanup", "Done executing the pipeline, clean up time!"),
    cacheUnmounting: () => open("unmount_cache_partition", "Unmount the cache partition"),
    cacheUnmounted: (device: string, isUnmounted: boolean) =>
      say(formatOutcome(`Remounting the partition ${device} read-only`, isUnmounted)),
    /** The executor may cut the power from now on; the farm's delay follows. */
    poweringOff({ delayMs = 0 } = {}) {
      finish(B2C_TEXTS.poweringOff);
      if (delayMs > 0) print(`sleep ${delayMs / 1000}`);
    },
    rebooting: () => finish(B2C_TEXTS.rebooting),
    /** A command of the machine's end, as a shell traces it: some farms take `+ poweroff -f` for the end of a job. */
    commandRunning: (command: string) => print(`+ ${command}`),
  };
}

function describeCache(outcome: CacheOutcome): string[] {
  switch (outcome.kind) {
    case "none":
      return ["Do not use a partition cache"];
    case "no-disk":
      return [B2C_TEXTS.noDisk];
    case "file-system":
      return [`Mounted the ${outcome.name} b2c.filesystem as a cache device`];
    case "failed":
      return [`${outcome.reason}. Defaulting to 'none'`];
    case "device":
      return [
        `Selected the partition ${outcome.device} as a cache`,
        formatOutcome(`Mounting the partition ${outcome.device} to ${outcome.target}`, outcome.isMounted),
      ];
  }
}

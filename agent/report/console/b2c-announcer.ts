/**
 * Tells farms of boot2container where a job stands, in the lines and GitLab sections their executors know (agent/wire/b2c-console.ts).
 * Jobs of other dialects get the same calls and print nothing for them.
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

/** Each is called when the thing happens, in about this order; what a job does not need is not called. */
export interface Announcer {
  /** First of all: ends the section in which the submitter keeps the firmware's and the kernel's output. */
  setupStarted(info: RuntimeInfo): void;
  modulesLoading(): void;
  /** The job asked for modules of its own. */
  modulesLoaded(): void;
  cacheMounting(): void;
  cacheMounted(outcome: CacheOutcome): void;
  networkConnecting(): void;
  /** `kernel`: the line's own `ip=`. */
  networkConnected(interfaces: readonly { name: string; address: string }[] | "kernel"): void;
  networkFailed(): void;
  clockSetting(): void;
  /** Without a server the clock was left alone. */
  clockSet(server?: string, isSet?: boolean): void;
  extraArgumentsFetching(): void;
  extraArgumentsFetched(isFetched: boolean): void;
  hostnameSetting(): void;
  keymapSetting(): void;
  /** `path` is absent where there is no such keymap. */
  keymapSet(name: string, path?: string, isLoaded?: boolean): void;
  /** The machine is ready; images, volumes and containers follow. */
  pipelineStarted(): void;
  volumesPrepared(): void;
  hooksStarted(name: string): void;
  hooksEnded(): void;
  serviceStarted(name: string): void;
  /** The image is looked for, its root mounted. */
  containerCreating(name: string): void;
  /** What comes next is the container's own output. */
  containerStarted(name: string): void;
  containerEnded(name: string, exitCode: number, options: { continues: boolean }): void;
  postStarted(name: string): void;
  postEnded(name: string): void;
  /** An error that ends the job, or a part of it. */
  failed(message: string): void;
  /**
   * The result, for which executors wait: once, whatever is called before or after it, so that no later word can contradict it.
   * Called when nothing can change it any more; where that is forgotten, the machine's end says 1.
   */
  ended(status: number): void;
  cleanupStarted(): void;
  cacheUnmounting(): void;
  cacheUnmounted(device: string, isUnmounted: boolean): void;
  /** The executor may cut the power from now on; the farm's delay is waited after this. */
  poweringOff(options?: { delayMs?: number }): void;
  rebooting(): void;
  /** A command of the machine's end, as the shell's trace shows it: `+ poweroff -f` was the end of a job for some farms. */
  commandRunning(command: string): void;
}

export interface AnnouncerOptions {
  /** Gets whole lines, some of them with line ends inside; a line end is added. */
  console: { line(text: string): void };
  readUptimeMs: () => number;
  nowMs?: () => number;
}

export function createAnnouncer(dialect: Dialect, options: AnnouncerOptions): Announcer {
  const { console: console_, readUptimeMs, nowMs = Date.now } = options;
  const moment = () => ({ nowMs: nowMs(), uptimeMs: readUptimeMs() });
  // Whoever opened this one did so by a clock of his own.
  let openSection: { id: SectionId; at?: Moment } | undefined = { id: "b2c_kernel_boot" };
  let hasEnded = false;
  let hasStarted = { containers: false, posts: false };

  const print = (text: string) => {
    if (dialect === "b2c") console_.line(text.replace(/\n$/, ""));
  };
  const say = (text: string) => print(formatB2cLine(text, moment()));
  const close = () => {
    if (!openSection) return;
    const { id, at } = openSection;
    openSection = undefined;
    print(formatSectionEnd(id, at ? momentAfter(at, readUptimeMs()) : moment()));
  };
  const open = (id: SectionId, title: string) => {
    close();
    const at = moment();
    print(formatSectionStart(id, title, at));
    openSection = { id, at };
  };
  const failed = (message: string) => {
    close();
    print(formatB2cError(message, moment()));
  };
  const ended = (status: number) => {
    if (hasEnded) return;
    hasEnded = true;
    // In a folded section nobody would see it.
    close();
    say(B2C_TEXTS.status(status));
  };
  const lastWords = (text: string) => {
    ended(1);
    close();
    say(text);
  };

  return {
    failed,
    ended,
    setupStarted(info) {
      open("b2c_setup", "Setting up boot2container");
      open("runtime_info", "Runtime information");
      print(formatRuntimeInfo(info));
    },
    modulesLoading: () => open("load_modules", "Load the kernel modules wanted by the user"),
    modulesLoaded: () => say(formatOutcome("Loading requested modules", true)),
    cacheMounting: () => open("mount_cache_partition", "Mount the cache partition"),
    cacheMounted: (outcome) => {
      for (const text of describeCache(outcome)) say(text);
    },
    networkConnecting: () => open("connect", "Connect to the network"),
    networkConnected(interfaces) {
      if (interfaces === "kernel") return say(B2C_TEXTS.ipIsSet);
      for (const { name, address } of interfaces) say(`Getting IP for network interface ${name}: ${address}`);
    },
    networkFailed: () => say("ERROR: Could not connect to the network, shutting down!"),
    clockSetting: () => open("ntp_set", "Synchronize the clock"),
    clockSet(server, isSet = true) {
      if (server === undefined) say(B2C_TEXTS.clockLeftAlone);
      else say(formatOutcome(`Getting the time from the NTP server ${server}`, isSet));
    },
    extraArgumentsFetching: () => open("parse_extra_cmdline", "Download and parse the extra command line"),
    extraArgumentsFetched(isFetched) {
      if (isFetched) say("Parse the extra command line");
      else failed("Could not download the extra command line, shutting down!");
    },
    hostnameSetting: () => open("set_hostname", "Set the hostname"),
    keymapSetting: () => open("set_keymap", "Setting the keymap"),
    keymapSet(name, path, isLoaded = true) {
      if (path === undefined) failed(`Cannot find any keymap file named ${name}.kmap!`);
      else say(formatOutcome(`Loading keymap file ${path}`, isLoaded));
    },
    pipelineStarted() {
      open("start_pipeline", "Run all the cmdline-specified containers");
      say("Run the containers");
    },
    volumesPrepared: () => say(B2C_TEXTS.volumesReady),
    hooksStarted: (name) => open("execute_hooks", `Execute the ${name} hooks`),
    hooksEnded: close,
    serviceStarted: () =>
      open("start_service_container", "Pull, create, init, and start the service container"),
    containerCreating() {
      if (!hasStarted.containers) say("Start the containers pipeline");
      hasStarted = { ...hasStarted, containers: true };
      open("create_container", "Pull, create, and init the container");
    },
    containerStarted: () => open("container_run", "About to start executing a container"),
    containerEnded(_name, exitCode, { continues }) {
      open("b2c_post_container", "gathering container results");
      say(exitCode === 0 ? B2C_TEXTS.containerPassed : B2C_TEXTS.containerFailed(exitCode, continues));
    },
    postStarted() {
      if (!hasStarted.posts) say("Running the post containers");
      hasStarted = { containers: true, posts: true };
    },
    postEnded: () => open("b2c_post_container", "gathering container results"),
    cleanupStarted: () => open("cleanup", "Done executing the pipeline, clean up time!"),
    cacheUnmounting: () => open("unmount_cache_partition", "Unmount the cache partition"),
    cacheUnmounted: (device, isUnmounted) =>
      say(formatOutcome(`Remounting the partition ${device} read-only`, isUnmounted)),
    poweringOff({ delayMs = 0 } = {}) {
      lastWords(B2C_TEXTS.poweringOff);
      if (delayMs > 0) print(`sleep ${delayMs / 1000}`);
    },
    rebooting: () => lastWords(B2C_TEXTS.rebooting),
    commandRunning: (command) => print(`+ ${command}`),
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

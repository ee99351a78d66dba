/**
 * The table of `dut.*` options: one entry an option. Reading the command line, `--help` and docs/options.md all come from here.
 */
import { AgentError } from "../errors.ts";
import { parseImageReference } from "../oci/reference.ts";
import type { Job } from "./job.ts";
import {
  explainValueError,
  parseArtifact,
  parseCache,
  parseChoice,
  parseComposefsDigest,
  parseDuration,
  parseEnvironment,
  parseHosts,
  parseQuota,
  parseS3Endpoint,
  parseS3Location,
  parseText,
  splitSubOptions,
} from "./option-values.ts";
import { showValue } from "./redact.ts";

/** The job while it is being read: everything may still be missing. */
export interface JobDraft extends Omit<Job, "root"> {
  root: Partial<Job["root"]> & Pick<Job["root"], "driver">;
  /** `dut.run`'s text. */
  command?: string;
}

export interface Option {
  /** With the prefix: `dut.image`. */
  name: string;
  /** The value's form, as help shows it; absent: a bare word. */
  form?: string;
  help: string;
  /** A whole word of a command line. */
  example: string;
  isRepeatable?: boolean;
  /** Reads the value into the draft; throws ValueError or an AgentError of the value's own reader. */
  read?(value: string, draft: JobDraft): void;
}

export const OPTIONS: readonly Option[] = [
  {
    name: "dut.image",
    form: "REF[,composefs=DIGEST]",
    help: "The OCI image that is the root: host[:port]/name[:tag][@digest], docker:// may stand in front; with the fs-verity digest that its composefs form must have",
    example: "dut.image=registry.farm:5000/mesa/test-vk:2026-11@sha256:…",
    read: (value, draft) => {
      const { head, options } = splitSubOptions(value, ["composefs"]);
      draft.root.image = parseImageReference(head);
      const digest = options.get("composefs");
      if (digest !== undefined) draft.root.composefsDigest = parseComposefsDigest(digest);
    },
  },
  {
    name: "dut.artifact",
    form: "URL[,to=/path][,sha256=HEX][,toc=HEX]",
    help: "An archive unpacked into the root before the test: tar, plain or as gz, xz or zst. The URL may be s3://BUCKET/KEY. With toc=, which `dutboot pack` prints, only files that are not here are fetched, and checked",
    example: "dut.artifact=https://artifacts.farm/install.tar.zst,to=/opt",
    isRepeatable: true,
    read: (value, draft) => {
      draft.artifacts.push(parseArtifact(value));
    },
  },
  {
    name: "dut.run",
    form: '"COMMAND"',
    help: "What to run, by /bin/sh -c; without it the image's entrypoint and command",
    example: 'dut.run="/install/run-vulkaninfo.sh --summary"',
    read: (value, draft) => {
      draft.command = parseText(value);
    },
  },
  {
    name: "dut.env",
    form: "NAME=VALUE",
    help: "A variable of the test's environment",
    example: "dut.env=DEQP_FRACTION=50",
    isRepeatable: true,
    read: (value, draft) => {
      draft.steps[0]!.env.push(parseEnvironment(value));
    },
  },
  {
    name: "dut.results",
    form: "s3://BUCKET/PREFIX",
    help: "Where /results of the container goes, with the full log and the verdict",
    example: "dut.results=s3://results/job-42",
    read: (value, draft) => {
      draft.results = { to: { s3: parseS3Location(value) } };
    },
  },
  {
    name: "dut.s3",
    form: "ENDPOINT[,region=R]",
    help: "The S3 service; its credentials come from a file, fw_cfg or SMBIOS (docs/credentials.md)",
    example: "dut.s3=https://s3.farm:9000,region=eu-west-1",
    read: (value, draft) => {
      draft.s3 = parseS3Endpoint(value);
    },
  },
  {
    name: "dut.cache",
    form: "none|auto|reset|LABEL=…|UUID=…|/dev/…",
    help: "Where the store is: in RAM (none, the default), on the device labelled DUTBOOT_CACHE (auto; reset formats it anew), or on a device of your own",
    example: "dut.cache=auto",
    read: (value, draft) => {
      draft.cache.choice = parseCache(value);
    },
  },
  {
    name: "dut.cache_format",
    form: "yes|no",
    help: "Whether the device that dut.cache names may be formatted when it holds no ext4; all its data is lost",
    example: "dut.cache_format=yes",
    read: (value, draft) => {
      draft.cache.mayFormat = parseChoice(["yes", "no"] as const)(value) === "yes";
    },
  },
  {
    name: "dut.cache_quota",
    form: "SIZE|SHARE",
    help: "What the store may keep on its device, as 10G or 80%; the images used longest ago go first; 80% without it",
    example: "dut.cache_quota=10G",
    read: (value, draft) => {
      draft.cache.quota = parseQuota(value);
    },
  },
  {
    name: "dut.root",
    form: "composefs|overlay|auto",
    help: "How the root is made: a composefs image over objects, a directory a layer, or the best that works (auto, the default)",
    example: "dut.root=overlay",
    read: (value, draft) => {
      draft.root.driver = parseChoice(["composefs", "overlay", "auto"] as const)(value);
    },
  },
  {
    name: "dut.insecure",
    form: "HOST[,HOST]",
    help: "Servers, as HOST or HOST:PORT, that may be reached over plain HTTP or with an unknown certificate",
    example: "dut.insecure=10.42.0.1:8002,cache.farm",
    isRepeatable: true,
    read: (value, draft) => {
      draft.insecureHosts.push(...parseHosts(value));
    },
  },
  {
    name: "dut.timeout",
    form: "DURATION",
    help: "The whole job's deadline, counted from the start of the agent: 90s, 15m, 2h, 1h30m",
    example: "dut.timeout=15m",
    read: (value, draft) => {
      draft.limits.timeoutMs = parseDuration(value);
    },
  },
  {
    name: "dut.on_exit",
    form: "poweroff|reboot|halt",
    help: "How the machine ends; poweroff without it",
    example: "dut.on_exit=reboot",
    read: (value, draft) => {
      draft.onExit = parseChoice(["poweroff", "reboot", "halt"] as const)(value);
    },
  },
  {
    name: "dut.end",
    help: "Marks the end: with it as the last word, a line that a boot loader has cut is told from a whole one",
    example: "dut.end",
  },
];

export function findOption(name: string): Option | undefined {
  return OPTIONS.find((option) => option.name === name);
}

/** Throws CMDLINE_BAD_VALUE; its hint is the option's example. */
export function readOption(
  { name, form, example, read }: Option,
  value: string | undefined,
  draft: JobDraft,
): void {
  const refuse = (given: string, why: string) =>
    new AgentError("CMDLINE_BAD_VALUE", `Cannot read "${given}": ${why}`, { hint: `Write it as ${example}` });
  const given = value === undefined ? name : `${name}=${showValue(value)}`;
  if (form === undefined && value !== undefined) throw refuse(given, "it takes no value");
  if (form !== undefined && value === undefined) throw refuse(given, "it has no value");
  try {
    read?.(value ?? "", draft);
  } catch (error) {
    throw refuse(given, explainValueError(error));
  }
}

/** `dut.image=REF` */
export function formatUsage({ name, form }: Option): string {
  return form === undefined ? name : `${name}=${form}`;
}

/** The options as `--help` lists them. */
export function formatOptionHelp(): string {
  return OPTIONS.map((option) => {
    const repeat = option.isRepeatable ? " (repeatable)" : "";
    return `  ${formatUsage(option)}${repeat}\n      ${option.help}\n      ${option.example}`;
  }).join("\n");
}

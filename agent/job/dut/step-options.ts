/**
 * Options of our own about what runs: the root's own step, and containers before, beside and after it.
 * Values with an image in them are boot2container's container values (b2c-container.ts).
 */
import { AgentError } from "../../errors.ts";
import { showValue } from "../../redaction/patterns.ts";
import type { StepKind } from "../step.ts";
import { readContainerWords, showPipelineVariable, trimDraft } from "../syntax/container-value.ts";
import { readPodmanFlags, type StepDraft } from "../syntax/podman-flags.ts";
import { parseVolumeFlag } from "../syntax/podman-mounts.ts";
import { expandWords, splitShellText } from "../syntax/shell-words.ts";
import { parseChoice, parseEnvironment, parseText, ValueError } from "../syntax/values.ts";
import type { JobDraft } from "./job-draft.ts";
import type { Option } from "./option.ts";

const parseYesOrNo = (value: string): boolean => parseChoice(["yes", "no"] as const)(value) === "yes";

function readStep(name: string, kind: StepKind): Pick<Option, "name" | "form" | "isRepeatable" | "read"> {
  return {
    name,
    form: '"[FLAGS] IMAGE [COMMAND]"',
    isRepeatable: true,
    read: (value, draft, { warn }) => {
      const context = { option: "it", lookup: showPipelineVariable, warn };
      const { step, complaints } = readContainerWords(kind, value, context);
      if (complaints.length > 0) throw new AgentError("CMDLINE_BAD_VALUE", complaints.join("; "));
      draft.steps.push(step);
    },
  };
}

/** No shell reads these values on the DUT: what looks like a variable is text. */
const keepVariable = (name: string) => `$${name}`;

/** The root's own step stands where the last word for it stands. */
function placeOwnStep(draft: JobDraft): void {
  draft.ownAt = draft.steps.length;
}

export const STEP_OPTIONS: readonly Option[] = [
  {
    name: "dut.run",
    form: '"COMMAND"',
    help: "What to run in the root, by /bin/sh -c; without it the image's entrypoint and command",
    example: 'dut.run="/install/run-vulkaninfo.sh --summary"',
    read: (value, draft) => {
      draft.command = parseText(value);
      placeOwnStep(draft);
    },
  },
  {
    name: "dut.init",
    form: '/PATH|"/PATH WORDS"',
    help: "The root's own init, in place of a command: it runs as process 1 of a container of its own, the agent watches, collects and ends",
    example: "dut.init=/sbin/init",
    read: (value, draft) => {
      const words = expandWords(splitShellText(value), keepVariable);
      if (!words[0]?.startsWith("/")) throw new ValueError("is not an absolute path, with words behind it");
      draft.init = words;
      placeOwnStep(draft);
    },
  },
  {
    name: "dut.shell",
    form: "yes|no",
    help: "A shell of the root on the console, in place of a command, for who types there, as LAVA's dispatcher does; its prompt is PS1 of dut.env, lava-shell: without it",
    example: "dut.shell=yes",
    read: (value, draft) => {
      if (parseYesOrNo(value)) draft.shell = true;
      else delete draft.shell;
      placeOwnStep(draft);
    },
  },
  {
    name: "dut.env",
    form: "NAME=VALUE",
    help: "A variable of the test's environment",
    example: "dut.env=DEQP_FRACTION=50",
    isRepeatable: true,
    read: (value, { own }) => {
      own.env.push(parseEnvironment(value));
    },
  },
  {
    name: "dut.mount",
    form: "/PATH|VOLUME:/PATH[:OPTIONS]",
    help: "A directory of the DUT, or a volume, in the container of dut.run, as podman's -v takes it",
    example: "dut.mount=shaders:/var/cache/shaders",
    isRepeatable: true,
    read: (value, { own }) => {
      own.volumes = [...(own.volumes ?? []), parseVolumeFlag(value)];
    },
  },
  {
    name: "dut.container",
    form: '"FLAGS"',
    help: "Flags of `podman create` for the container of dut.run, as the containers of dut.step have them in front of their image",
    example: 'dut.container="--user 1000 --workdir /install --shm-size 1g"',
    isRepeatable: true,
    read: readOwnFlags,
  },
  {
    ...readStep("dut.step", "main"),
    help: "A container with an image of its own, before or after dut.run as the words stand in the line; its exit code counts as that of dut.run does",
    example: "dut.step=\"-e MODE=check docker://registry.farm/check:1 sh -c 'check && report'\"",
  },
  {
    ...readStep("dut.service", "service"),
    help: "A container that is started before the first step and stopped after the last",
    example: 'dut.service="-v metrics:/out registry.farm/telegraf:1"',
  },
  {
    ...readStep("dut.post", "post"),
    help: "A container that runs after the steps, whatever came out",
    example: 'dut.post="-v metrics:/in registry.farm/report:1 collect"',
  },
  {
    name: "dut.pipefail",
    form: "yes|no",
    help: "Whether the first step that fails is the last one; without it the others run all the same. The first failure is the job's in both cases",
    example: "dut.pipefail=yes",
    read: (value, draft) => {
      if (parseYesOrNo(value)) draft.stopsAtFailure = true;
      else delete draft.stopsAtFailure;
    },
  },
];

function readOwnFlags(value: string, draft: JobDraft): void {
  const { kind, envFiles = [], volumes = [], container = {}, ...own } = draft.own;
  const step: StepDraft = { ...own, envFiles, volumes, container };
  const words = expandWords(splitShellText(parseText(value)), keepVariable);
  const { rest, complaints } = readPodmanFlags(words, step);
  if (rest.length > 0) complaints.push(`"${showValue(rest[0]!)}" is no flag`);
  if (complaints.length > 0) throw new ValueError(`cannot be used: ${complaints.join("; ")}`);
  for (const entry of step.env) parseEnvironment(entry);
  draft.own = { kind, ...trimDraft(step) };
}

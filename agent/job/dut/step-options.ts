/**
 * Options of ours for what runs: the root's own step, and containers before, beside and after it. Containers are written as
 * boot2container's (syntax/container-value.ts).
 */

import { showValue } from "../../redaction/patterns.ts";
import type { JobDraft } from "../job-draft.ts";
import { add, type DutOption, type OptionReader, set, toJob, toRootStep } from "../option.ts";
import type { StepKind } from "../step.ts";
import { readContainer, showPipelineVariable } from "../syntax/container-value.ts";
import { requireQuotedScript } from "../syntax/loader-escapes.ts";
import { readPodmanFlags } from "../syntax/podman-flags.ts";
import { parseVolumeFlag } from "../syntax/podman-mounts.ts";
import { expandWords, splitShellText } from "../syntax/shell-words.ts";
import { parseEnvironment, parseYesOrNo, ValueError } from "../syntax/values.ts";

/** A container that cannot be read refuses a job of ours; boot2container's fails when its turn comes. */
export const readStep =
  (kind: StepKind): OptionReader =>
  (value, draft, context) => {
    const step = readContainer(kind, value, { ...context, lookup: showPipelineVariable });
    if (step.error) context.report(step.error);
    if (!step.error || !context.isStrict) draft.steps.push(step);
  };

/** Reads an option of the root's step, which takes its position among the steps from the last one of these. */
const ofRootStep =
  (read: OptionReader): OptionReader =>
  (value, draft, context) => {
    read(value, draft, context);
    draft.rootStepIndex = draft.steps.length;
  };

/** No shell reads these values on the DUT, so variables stay as they are written. */
const splitArguments = (text: string) => expandWords(splitShellText(text), (name) => `$${name}`);

const CONTAINER = { form: '"[FLAGS] IMAGE [COMMAND]"', isRepeatable: true } as const;

export const STEP_OPTIONS: readonly DutOption[] = [
  {
    name: "dut.run",
    form: '"COMMAND"',
    help: "The command to run in the root with /bin/sh -c; the image's entrypoint and command by default",
    example: 'dut.run="/install/run-vulkaninfo.sh --summary"',
    read: ofRootStep(
      set(toJob, "command", (text) => {
        requireQuotedScript(text);
        return text;
      }),
    ),
  },
  {
    name: "dut.init",
    form: '/PATH|"/PATH ARGUMENTS"',
    help: "The root's own init instead of a command: it runs as process 1 of its own container, while the agent watches it, collects the results and ends the machine",
    example: "dut.init=/sbin/init",
    read: ofRootStep((value, draft) => {
      const init = splitArguments(value);
      if (!init[0]?.startsWith("/"))
        throw new ValueError("is not an absolute path, optionally with arguments");
      draft.init = init;
    }),
  },
  {
    name: "dut.shell",
    form: "yes|no",
    help: "A shell of the root on the console instead of a command, for a user or LAVA's dispatcher; its prompt is PS1 of dut.env, lava-shell: by default",
    example: "dut.shell=yes",
    read: ofRootStep(set(toJob, "shell", parseYesOrNo)),
  },
  {
    name: "dut.env",
    form: "NAME=VALUE",
    help: "A variable of the test's environment",
    example: "dut.env=DEQP_FRACTION=50",
    isRepeatable: true,
    read: (value, { rootStep }) => {
      rootStep.env.push(parseEnvironment(value));
    },
  },
  {
    name: "dut.mount",
    form: "/PATH|VOLUME:/PATH[:OPTIONS]",
    help: "A directory of the DUT, or a volume, mounted in the container of dut.run, as podman's -v",
    example: "dut.mount=shaders:/var/cache/shaders",
    isRepeatable: true,
    read: add(toRootStep, "volumes", parseVolumeFlag),
  },
  {
    name: "dut.container",
    form: '"FLAGS"',
    help: "Flags of `podman create` for the container of dut.run, as the containers of dut.step have them before their image",
    example: 'dut.container="--user 1000 --workdir /install --shm-size 1g"',
    isRepeatable: true,
    read: readRootStepFlags,
  },
  {
    ...CONTAINER,
    name: "dut.step",
    help: "A container with its own image, run before or after dut.run in the order of the options; its exit code counts as that of dut.run does",
    example: "dut.step=\"-e MODE=check docker://registry.farm/check:1 sh -c 'check && report'\"",
    read: readStep("main"),
  },
  {
    ...CONTAINER,
    name: "dut.service",
    help: "A container that is started before the first step and stopped after the last",
    example: 'dut.service="-v metrics:/out registry.farm/telegraf:1"',
    read: readStep("service"),
  },
  {
    ...CONTAINER,
    name: "dut.post",
    help: "A container that runs after the steps, whatever their result",
    example: 'dut.post="-v metrics:/in registry.farm/report:1 collect"',
    read: readStep("post"),
  },
  {
    name: "dut.pipefail",
    form: "yes|no",
    help: "Whether to stop after the first step that fails; by default the others still run. The first failure is the job's result in both cases",
    example: "dut.pipefail=yes",
    read: set(toJob, "stopsAtFailure", parseYesOrNo),
  },
];

function readRootStepFlags(value: string, draft: JobDraft): void {
  const step = { ...draft.rootStep, env: [...draft.rootStep.env] };
  const { rest, problems } = readPodmanFlags(splitArguments(value), step);
  if (rest.length > 0) problems.push(`"${showValue(rest[0]!)}" is not a flag`);
  if (problems.length > 0) throw new ValueError(`cannot be used: ${problems.join("; ")}`);
  for (const entry of step.env) parseEnvironment(entry);
  draft.rootStep = step;
}

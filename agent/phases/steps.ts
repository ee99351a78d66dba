/**
 * The job's steps: services beside the main steps, the main steps in turn, the post steps whatever came out.
 * The status is that of the first main step that fails, as boot2container's pipeline has it.
 */
import { AgentError, toAgentError } from "../errors.ts";
import { formatStepImage } from "../job/explain/plan.ts";
import type { Job } from "../job/job.ts";
import { isInteractive, type Mount, type Step } from "../job/step.ts";
import { readContainer } from "../job/syntax/container-value.ts";
import type { MirrorCondition } from "../job/volume.ts";
import { hideSecrets } from "../redaction/patterns.ts";
import type { Announcer } from "../report/console/b2c-announcer.ts";
import type { StepOutput } from "../report/output-bus.ts";
import type { MountedRoot } from "../root/root-driver.ts";
import type { ContainerExit } from "../sys/container/container.ts";
import type { StepContainer } from "../sys/container/step-container.ts";
import { truncate } from "../text.ts";
import type { EventBody } from "../wire/event.ts";
import type { PhaseContext } from "./phase-runner.ts";
import { describeLackOfMemory } from "./run-failure.ts";

/** What a step runs in. */
export interface StepRoot {
  root: MountedRoot;
  config: StepContainer["config"];
  /** After the step; leaves the job's own root alone. */
  release(): Promise<void>;
}

export interface StepVolumes {
  runHooks(on: MirrorCondition, options: { signal: AbortSignal }): Promise<void>;
  /** `rootPath`: what empty volumes get their first content from. Throws the step's own error. */
  resolveMounts(
    mounts: readonly Mount[],
    options: { rootPath: string },
  ): Pick<StepContainer, "mounts" | "tmpfs">;
}

export interface StepsAdapters {
  /** Throws what was wrong with the step's image. */
  openStepRoot(step: Step, context: PhaseContext): Promise<StepRoot>;
  runContainer(container: StepContainer): Promise<ContainerExit>;
  volumes: StepVolumes;
  announcer: Announcer;
  emit: (event: EventBody) => void;
  /** Bound to /results. */
  resultsPath?: string;
  /** Where a step's output goes; `logName` is its own log among the results. */
  openOutput(options: { logName: string; isService: boolean; isInteractive: boolean }): StepOutput;
}

export interface StepsResult {
  /** Of the first main step that failed; 0 when none did. */
  exitCode: number;
  /** Why that step could not run, where it could not. */
  error?: AgentError;
  /** What it ran out of, where it ran to its end and failed of that. */
  failure?: AgentError;
  /** A container asked for it. */
  endsMachine?: "poweroff" | "reboot";
  /** What boot2container's containers and its last commands know of the pipeline, by name. */
  variables: Readonly<Record<string, string>>;
}

/** Enough to know a step by in a sign of life. */
const SHOWN_NAME_LENGTH = 60;

/** podman's own code for a container that it could not start. */
const NOT_STARTED = 125;

export type StepsJob = Pick<Job, "dialect" | "shell" | "steps" | "stopsAtFailure">;

/** Rejects for the job's deadline alone; a step's own failure is in the result. */
export async function runSteps(
  { dialect, shell = false, steps, stopsAtFailure = false }: StepsJob,
  context: PhaseContext,
  adapters: StepsAdapters,
): Promise<StepsResult> {
  const of = (kind: Step["kind"]) => steps.filter((step) => step.kind === kind);
  const { log, signal } = context;
  const { announcer } = adapters;
  // A code alone says that a container called reboot(2): only boot2container's jobs mean it that way.
  const pipeline = new Pipeline({ obeysContainers: dialect === "b2c" });
  const stopServices = new AbortController();
  const numbered = createStepRunner(context, { ...adapters, input: shell ? "console" : "none" }, pipeline);

  const services = of("service").map(async (step) => {
    announcer.serviceStarted();
    try {
      const { exitCode } = await numbered(step, { signal: AbortSignal.any([signal, stopServices.signal]) });
      log.info(`run: the service ${nameStep(step)} ended with exit code ${exitCode}`);
    } catch (error) {
      // What a service is for shows in the steps beside it; that it is not there has to be told.
      if (!stopServices.signal.aborted) log.error(formatError(step, toAgentError(error)));
    }
  });

  try {
    for (const step of of("main")) {
      if (pipeline.exitCode !== 0 && stopsAtFailure) break;
      await adapters.volumes.runHooks("container_start", { signal });
      const exit = await settleStep(numbered(step, { signal }), step, context);
      await adapters.volumes.runHooks("container_end", { signal });
      pipeline.note(step, exit);
      const continues = exit.exitCode === 0 || !stopsAtFailure;
      announcer.containerEnded(exit.exitCode, { continues });
      if (pipeline.endsMachine) break;
    }
    for (const step of of("post")) {
      announcer.postStarted();
      const { exitCode } = await settleStep(numbered(step, { signal }), step, context);
      log.info(`run: the post step ended with exit code ${exitCode}`);
      announcer.postEnded();
    }
  } finally {
    stopServices.abort(new Error("The main steps are over"));
    await Promise.all(services);
  }
  return pipeline.result;
}

interface StepExit extends Pick<ContainerExit, "exitCode" | "endedBy"> {
  oomKilled?: boolean;
  error?: AgentError;
}

/** What the pipeline knows so far, as its containers see it in their environment. */
class Pipeline {
  exitCode = 0;
  endsMachine: StepsResult["endsMachine"];
  #error: AgentError | undefined;
  #failure: AgentError | undefined;
  #failedBy = "";
  #previous = "";
  #previousExitCode = "";
  readonly #obeysContainers: boolean;

  constructor({ obeysContainers }: { obeysContainers: boolean }) {
    this.#obeysContainers = obeysContainers;
  }

  note(step: Step, { exitCode, endedBy, oomKilled, error }: StepExit): void {
    this.#previous = nameStep(step);
    this.#previousExitCode = String(exitCode);
    if (endedBy !== "exit" && this.#obeysContainers) this.endsMachine = endedBy;
    if (exitCode !== 0 && this.exitCode === 0) {
      this.exitCode = exitCode;
      this.#failedBy = this.#previous;
      this.#error = error;
      if (oomKilled)
        this.#failure = describeLackOfMemory(truncate(this.#previous, SHOWN_NAME_LENGTH), exitCode);
    }
  }

  get variables(): Record<string, string> {
    return {
      B2C_PIPELINE_STATUS: String(this.exitCode),
      B2C_PIPELINE_FAILED_BY: this.#failedBy,
      B2C_PIPELINE_PREV_CONTAINER: this.#previous,
      B2C_PIPELINE_PREV_CONTAINER_EXIT_CODE: this.#previousExitCode,
      B2C_PIPELINE_SHUTDOWN_MODE: this.endsMachine ?? "default",
    };
  }

  get result(): StepsResult {
    return {
      exitCode: this.exitCode,
      error: this.#error,
      failure: this.#failure,
      endsMachine: this.endsMachine,
      variables: this.variables,
    };
  }
}

type RunStep = (step: Step, options: { signal: AbortSignal }) => Promise<ContainerExit>;

/** Each step gets a number of its own, which names its container. */
function createStepRunner(
  context: PhaseContext,
  adapters: StepsAdapters & Pick<StepContainer, "input">,
  pipeline: Pipeline,
): RunStep {
  let nextNumber = 1;
  const run = async (number: number, written: Step, signal: AbortSignal): Promise<ContainerExit> => {
    const { announcer, volumes, resultsPath, input = "none" } = adapters;
    const { variables } = pipeline;
    const step = expandStep(written, variables, context);
    if (step.error) throw step.error;
    if (step.kind !== "service") announcer.containerCreating();
    const { root, config, release } = await adapters.openStepRoot(step, context);
    if (step.kind !== "service") announcer.containerStarted();
    const output = adapters.openOutput({
      logName: `steps/${number}-${step.kind}.log`,
      isService: step.kind === "service",
      isInteractive: isInteractive(step),
    });
    try {
      const container: StepContainer = {
        id: nameContainer(number),
        config,
        rootPath: root.path,
        step,
        ...volumes.resolveMounts(step.volumes ?? [], { rootPath: root.path }),
        resultsPath,
        extraEnv: written.source === undefined ? [] : formatVariables(variables),
        ...(step.kind === "main" && { input }),
        onOutput: output.write,
        signal,
      };
      const exit = await context.during(
        `${step.kind} step "${truncate(nameStep(step), SHOWN_NAME_LENGTH)}"`,
        () => adapters.runContainer(container),
      );
      if (exit.oomKilled)
        context.log.warn(
          `run: the kernel killed a process of the test because memory ran out: ${nameStep(step)}`,
        );
      return exit;
    } finally {
      output.end();
      await release();
    }
  };
  return async (step, { signal }) => {
    const number = nextNumber++;
    const id = nameContainer(number);
    const startedAt = performance.now();
    const end = (outcome: Pick<StepEnd, "exitCode" | "oomKilled" | "timedOut" | "error">) =>
      adapters.emit({
        event: "step_end",
        id,
        durationMs: Math.round(performance.now() - startedAt),
        ...outcome,
      });
    adapters.emit({ event: "step_start", id, kind: step.kind, name: nameStep(step) });
    try {
      const exit = await run(number, step, signal);
      const { exitCode, oomKilled, timedOut } = exit;
      end({ exitCode, oomKilled: oomKilled || undefined, timedOut: timedOut || undefined });
      return exit;
    } catch (error) {
      end({ exitCode: null, error: toAgentError(error).code });
      throw error;
    }
  };
}

const nameContainer = (number: number) => `dutboot-${number}`;

type StepEnd = Extract<EventBody, { event: "step_end" }>;

/** Variables such as $B2C_PIPELINE_STATUS have their values only now. */
function expandStep(step: Step, variables: Readonly<Record<string, string>>, { log }: PhaseContext): Step {
  if (step.source === undefined) return step;
  return readContainer(step.kind, step.source, {
    lookup: (name) => variables[name],
    warn: (warning) => log.warn(`run: ${step.kind} step: ${warning}`),
    createError: (reason) =>
      new AgentError("CMDLINE_BAD_VALUE", `Cannot run the ${step.kind} step: ${reason}`),
  });
}

function formatVariables(variables: Readonly<Record<string, string>>): string[] {
  return Object.entries(variables).map(([name, value]) => `${name}=${value}`);
}

async function settleStep(
  running: Promise<ContainerExit>,
  step: Step,
  { log, signal }: PhaseContext,
): Promise<StepExit> {
  try {
    return await running;
  } catch (thrown) {
    signal.throwIfAborted();
    const error = toAgentError(thrown);
    log.error(formatError(step, error));
    return { exitCode: NOT_STARTED, endedBy: "exit", error };
  }
}

/** What people know the step by: as it was written, or its image. */
function nameStep({ source, image, argv = [] }: Step): string {
  const words = source ?? (image ? formatStepImage(image) : argv.join(" "));
  return hideSecrets(words === "" ? "the root's command" : words);
}

function formatError(step: Step, { code, blame, message, hint }: AgentError): string {
  return `run: ${step.kind} step "${nameStep(step)}" cannot run: ${code} (blame: ${blame}): ${message}. ${hint}`;
}

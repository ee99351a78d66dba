/**
 * Runs the job's steps: services in parallel with the main steps, the main steps in turn, then the post steps in any case.
 * The status is that of the first main step that fails, as in boot2container's pipeline.
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

/** The mounted root that a step runs in. */
export interface StepRoot {
  root: MountedRoot;
  config: StepContainer["config"];
  /** Called after the step; does nothing for the job's own root. */
  release(): Promise<void>;
}

export interface StepVolumes {
  runHooks(on: MirrorCondition, options: { signal: AbortSignal }): Promise<void>;
  /** `rootPath`: empty volumes are filled from it. Throws the step's own error. */
  /** A container with these mounts ran. */
  noteRun(mounts: readonly Mount[]): void;
  resolveMounts(
    mounts: readonly Mount[],
    options: { rootPath: string },
  ): Pick<StepContainer, "mounts" | "tmpfs">;
}

export interface StepsAdapters {
  /** Throws the error of the step's image. */
  openStepRoot(step: Step, context: PhaseContext): Promise<StepRoot>;
  runContainer(container: StepContainer): Promise<ContainerExit>;
  volumes: StepVolumes;
  announcer: Announcer;
  emit: (event: EventBody) => void;
  /** Bind-mounted at /results. */
  resultsPath?: string;
  /** Where a step's output goes; `logName` is its own log among the results. */
  openOutput(options: { logName: string; isService: boolean; isInteractive: boolean }): StepOutput;
}

export interface StepsResult {
  /** Of the first main step that failed; 0 if none failed. */
  exitCode: number;
  /** Why that step could not run. */
  error?: AgentError;
  /** Why its exit code does not count: it ran out of memory or disk space. */
  failure?: AgentError;
  /** Requested by a container. */
  endsMachine?: "poweroff" | "reboot";
  /** The pipeline's variables for boot2container's containers and end commands. */
  variables: Readonly<Record<string, string>>;
}

/** Enough to recognize a step in a progress line. */
const SHOWN_NAME_LENGTH = 60;

/** podman's exit code for a container that it could not start. */
const NOT_STARTED = 125;

export type StepsJob = Pick<Job, "dialect" | "shell" | "steps" | "stopsAtFailure">;

/** Rejects only at the job's deadline; a step's own failure is in the result. */
export function runSteps(job: StepsJob, phase: PhaseContext, adapters: StepsAdapters): Promise<StepsResult> {
  return new Pipeline(job, phase, adapters).run();
}

type StepExit = Partial<ContainerExit> & Pick<ContainerExit, "exitCode"> & { error?: AgentError };

class Pipeline {
  readonly #job: StepsJob;
  readonly #phase: PhaseContext;
  readonly #adapters: StepsAdapters;
  #lastNumber = 0;
  #previous = { name: "", exitCode: "" };
  /** Of the first main step that failed. */
  #failed: { name: string; exitCode: number; error?: AgentError; failure?: AgentError } = {
    name: "",
    exitCode: 0,
  };
  #endsMachine: StepsResult["endsMachine"];

  constructor(job: StepsJob, phase: PhaseContext, adapters: StepsAdapters) {
    this.#job = job;
    this.#phase = phase;
    this.#adapters = adapters;
  }

  async run(): Promise<StepsResult> {
    const { log, signal } = this.#phase;
    const { announcer, volumes } = this.#adapters;
    const { steps, stopsAtFailure = false } = this.#job;
    const of = (kind: Step["kind"]) => steps.filter((step) => step.kind === kind);
    const stopServices = new AbortController();
    const services = of("service").map((step) => this.#runService(step, stopServices.signal));
    try {
      for (const step of of("main")) {
        if (this.#failed.exitCode !== 0 && stopsAtFailure) break;
        await volumes.runHooks("container_start", { signal });
        const exit = await this.#settle(step);
        await volumes.runHooks("container_end", { signal });
        this.#note(step, exit);
        const continues = exit.exitCode === 0 || !stopsAtFailure;
        announcer.containerEnded(exit.exitCode, { continues });
      }
      for (const step of of("post")) {
        announcer.postStarted();
        const { exitCode } = await this.#settle(step);
        log.info(`run: the post step ended with exit code ${exitCode}`);
        announcer.postEnded();
      }
    } finally {
      stopServices.abort(new Error("The main steps are over"));
      await Promise.all(services);
    }
    const { exitCode, error, failure } = this.#failed;
    return { exitCode, error, failure, endsMachine: this.#endsMachine, variables: this.#variables };
  }

  /** boot2container's containers see them in their environment. */
  get #variables(): Record<string, string> {
    return {
      B2C_PIPELINE_STATUS: String(this.#failed.exitCode),
      B2C_PIPELINE_FAILED_BY: this.#failed.name,
      B2C_PIPELINE_PREV_CONTAINER: this.#previous.name,
      B2C_PIPELINE_PREV_CONTAINER_EXIT_CODE: this.#previous.exitCode,
      B2C_PIPELINE_SHUTDOWN_MODE: this.#endsMachine ?? "default",
    };
  }

  #note(step: Step, { exitCode, endedBy = "exit", oomKilled, error }: StepExit): void {
    const name = nameStep(step);
    this.#previous = { name, exitCode: String(exitCode) };
    // Only in boot2container's jobs do exit codes 129 and 130 request a reboot or a power-off, after the remaining steps.
    if (endedBy !== "exit" && this.#job.dialect === "b2c") this.#endsMachine = endedBy;
    if (exitCode === 0 || this.#failed.exitCode !== 0) return;
    const killed = `the kernel killed a process of "${truncate(name, SHOWN_NAME_LENGTH)}" because memory ran out`;
    const message = `Cannot count the test's result: ${killed}, and it ended with exit code ${exitCode}`;
    const failure = oomKilled ? new AgentError("TEST_OUT_OF_MEMORY", message) : undefined;
    this.#failed = { name, exitCode, error, failure };
  }

  /** A service has no influence on the status. */
  async #runService(step: Step, stopSignal: AbortSignal): Promise<void> {
    const { log, signal } = this.#phase;
    this.#adapters.announcer.serviceStarted();
    try {
      const { exitCode } = await this.#run(step, AbortSignal.any([signal, stopSignal]));
      log.info(`run: the service ${nameStep(step)} ended with exit code ${exitCode}`);
    } catch (error) {
      if (!stopSignal.aborted) log.error(formatError(step, toAgentError(error)));
    }
  }

  async #settle(step: Step): Promise<StepExit> {
    const { log, signal } = this.#phase;
    try {
      return await this.#run(step, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toAgentError(thrown);
      log.error(formatError(step, error));
      return { exitCode: NOT_STARTED, error };
    }
  }

  /** Numbers the step, and emits its start and end. */
  async #run(step: Step, signal: AbortSignal): Promise<ContainerExit> {
    const { emit } = this.#adapters;
    const number = ++this.#lastNumber;
    const id = `dutboot-${number}`;
    const startedAt = performance.now();
    const emitEnd = (outcome: Pick<StepEnd, "exitCode" | "oomKilled" | "timedOut" | "error">) =>
      emit({ event: "step_end", id, durationMs: Math.round(performance.now() - startedAt), ...outcome });
    emit({ event: "step_start", id, kind: step.kind, name: nameStep(step) });
    try {
      const exit = await this.#runContainer(step, number, { id, signal });
      const { exitCode, oomKilled, timedOut } = exit;
      emitEnd({ exitCode, oomKilled: oomKilled || undefined, timedOut: timedOut || undefined });
      return exit;
    } catch (error) {
      emitEnd({ exitCode: null, error: toAgentError(error).code });
      throw error;
    }
  }

  async #runContainer(
    written: Step,
    number: number,
    options: Pick<StepContainer, "id" | "signal">,
  ): Promise<ContainerExit> {
    const { announcer, volumes, resultsPath, ...adapters } = this.#adapters;
    const phase = this.#phase;
    const variables = this.#variables;
    const step = expandStep(written, variables, phase);
    if (step.error) throw step.error;
    const name = nameStep(step);
    const isService = step.kind === "service";
    if (!isService) announcer.containerCreating();
    const { root, config, release } = await adapters.openStepRoot(step, phase);
    if (!isService) announcer.containerStarted();
    const output = adapters.openOutput({
      logName: `steps/${number}-${step.kind}.log`,
      isService,
      isInteractive: isInteractive(step),
    });
    try {
      const container: StepContainer = {
        ...options,
        config,
        rootPath: root.path,
        step,
        ...volumes.resolveMounts(step.volumes ?? [], { rootPath: root.path }),
        resultsPath,
        extraEnv:
          written.source === undefined ? [] : Object.entries(variables).map((entry) => entry.join("=")),
        input: step.kind === "main" && this.#job.shell ? "console" : "none",
        onOutput: output.write,
      };
      const what = `${step.kind} step "${truncate(name, SHOWN_NAME_LENGTH)}"`;
      const exit = await phase.during(what, () => adapters.runContainer(container));
      volumes.noteRun(step.volumes ?? []);
      if (exit.oomKilled)
        phase.log.warn(`run: the kernel killed a process of the test because memory ran out: ${name}`);
      return exit;
    } finally {
      output.end();
      await release();
    }
  }
}

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

/** As it was written, else its image or command. */
function nameStep({ source, image, argv = [] }: Step): string {
  const name = source ?? (image ? formatStepImage(image) : argv.join(" "));
  return hideSecrets(name === "" ? "the root's command" : name);
}

function formatError(step: Step, { code, blame, message, hint }: AgentError): string {
  return `run: ${step.kind} step "${nameStep(step)}" cannot run: ${code} (blame: ${blame}): ${message}. ${hint}`;
}

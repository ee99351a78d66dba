/**
 * Stands for the agent in a mount namespace with a cgroup tree of its own: runs one container as told by its one
 * argument (JSON) and writes output, log and end as JSON lines.
 */
import { AgentError } from "../../../agent/errors.ts";
import { runContainer } from "../../../agent/sys/container/container.ts";
import type { ContainerOptions, StepContainer } from "../../../agent/sys/container/step-container.ts";

export interface ContainerRequest {
  step: Omit<StepContainer, "onOutput" | "signal">;
  options: Omit<ContainerOptions, "log">;
  abortAfterMs?: number;
}

const say = (record: object) => process.stdout.write(`${JSON.stringify(record)}\n`);
const text = (line: string) => say({ log: line });
const { step, options, abortAfterMs } = JSON.parse(process.argv[2]!) as ContainerRequest;
const onOutput = (chunk: Buffer) => say({ output: chunk.toString("base64") });
try {
  const signal = abortAfterMs === undefined ? undefined : AbortSignal.timeout(abortAfterMs);
  const exit = await runContainer(
    { ...step, onOutput, signal },
    { ...options, log: { debug: text, info: text, warn: text } },
  );
  say({ exit });
} catch (error) {
  say({
    error: error instanceof AgentError ? error.code : (error as Error).name,
    message: (error as Error).message,
  });
}

/**
 * A container as boot2container writes it: `[podman create flags] [docker://]image [arguments…]`, which the original passes
 * to a shell. The text is split as that shell would split it; what only a shell can do is an error of this step alone.
 */
import type { AgentError } from "../../errors.ts";
import { type ImageReference, parseImageReference } from "../../oci/reference.ts";
import { showValue } from "../../redaction/patterns.ts";
import type { Step, StepImage, StepKind } from "../step.ts";
import { requireQuotedScript } from "./loader-escapes.ts";
import { readPodmanFlags } from "./podman-flags.ts";
import { expandWords, listVariables, splitShellText, type VariableLookup } from "./shell-words.ts";
import { explainValueError, ValueError } from "./values.ts";

/** Set by boot2container for every container; the arguments of a container may use them. */
const PIPELINE_VARIABLES = new Set([
  "B2C_PIPELINE_STATUS",
  "B2C_PIPELINE_FAILED_BY",
  "B2C_PIPELINE_PREV_CONTAINER",
  "B2C_PIPELINE_PREV_CONTAINER_EXIT_CODE",
  "B2C_PIPELINE_SHUTDOWN_MODE",
]);

/** Until the pipeline runs, its variables stay as they are written. */
export const showPipelineVariable: VariableLookup = (name) =>
  PIPELINE_VARIABLES.has(name) ? `$${name}` : undefined;

export interface ContainerContext {
  lookup: VariableLookup;
  warn: (warning: string) => void;
  /** Makes the step's error; `reason` completes "Cannot read …: …". */
  createError: (reason: string) => AgentError;
}

/** Never throws: the step has an `error` for all that is wrong, and whatever could be read. */
export function readContainer(kind: StepKind, value: string, context: ContainerContext): Step {
  const step: Step = { kind, env: [], source: value };
  const problems: string[] = [];
  const attempt = (read: () => void) => {
    try {
      read();
    } catch (error) {
      problems.push(explainValueError(error));
    }
  };
  attempt(() => {
    requireQuotedScript(value);
    const flags = readPodmanFlags(splitArguments(value, context), step);
    problems.push(...flags.problems);
    const [image, ...argv] = flags.rest;
    step.argv = argv;
    attempt(() => {
      if (image === undefined) throw new ValueError("names no image");
      step.image = parseStepImage(image);
    });
  });
  step.env = step.env.flatMap((entry) => expandEnvironment(entry, context));
  if (problems.length > 0) step.error = context.createError(problems.join("; "));
  return step;
}

function splitArguments(value: string, { lookup, warn }: ContainerContext): string[] {
  const tokens = splitShellText(value);
  for (const [at, token] of tokens.entries()) {
    if (token.kind !== "operator") continue;
    if (token.text !== "\n") {
      throw new ValueError(
        `has "${token.text}" outside of quotes, which boot2container's shell would not pass to the container: put it in single quotes`,
      );
    }
    if (at > 0 && at < tokens.length - 1) warn("a line end outside of quotes counts as a space");
  }
  for (const name of new Set(listVariables(tokens))) {
    if (lookup(name) === undefined)
      warn(`$${name} outside of single quotes is empty: the DUT has no such variable`);
  }
  return expandWords(tokens, lookup);
}

/** podman takes the value of a bare `NAME` from its own environment, which has only the pipeline's variables. */
function expandEnvironment(entry: string, { lookup, warn }: ContainerContext): string[] {
  if (entry.includes("=")) return [entry];
  const value = lookup(entry);
  if (value !== undefined) return [`${entry}=${value}`];
  warn(`--env ${showValue(entry)} without a value is ignored: the DUT has no such variable`);
  return [];
}

/** Takes the place of a registry without a dot while the rest of its reference is parsed. */
const PLACEHOLDER = "registry.invalid";

/**
 * Reads an image's name as Docker does: without a registry it belongs to Docker Hub; a first part with capitals is a registry.
 * A bare id names an image of a local store. Throws IMAGE_BAD_REFERENCE or ValueError.
 */
function parseStepImage(text: string): StepImage {
  if (/^(?:sha256:[0-9a-f]{64}|[0-9a-f]{12,64})$/.test(text)) return { id: text.replace(/^sha256:/, "") };
  const plain = text.replace(/^docker:\/\//, "");
  const [, transport] =
    /^(oci|oci-archive|docker-archive|docker-daemon|dir|containers-storage|sif):/.exec(plain) ?? [];
  if (transport !== undefined)
    throw new ValueError(`has an image with "${transport}:", but only docker:// is supported`);
  const [first = "", ...rest] = plain.split("/");
  if (rest.length > 0 && (/[.:]/.test(first) || first === "localhost")) return parseImageReference(plain);
  if (rest.length === 0 || first === first.toLowerCase()) return parseImageReference(`docker.io/${plain}`);
  const reference: ImageReference = parseImageReference(`${PLACEHOLDER}/${rest.join("/")}`);
  if (!/^[A-Za-z0-9-]+$/.test(first))
    throw new ValueError(`has "${showValue(first)}", which is not a registry`);
  return { ...reference, registry: first.toLowerCase() };
}

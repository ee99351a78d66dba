/**
 * A container of boot2container: `[podman create flags] [docker://]image [words…]`, which the original hands to a shell.
 * Here it is split as that shell would, and what only a shell could do is an error of this step alone.
 */
import { AgentError } from "../../errors.ts";
import type { ImageReference } from "../../oci/reference.ts";
import { parseImageReference } from "../../oci/reference.ts";
import { showValue } from "../../redaction/patterns.ts";
import type { Step, StepImage, StepKind } from "../step.ts";
import { readPodmanFlags, type StepDraft } from "./podman-flags.ts";
import {
  expandWords,
  listVariables,
  type ShellToken,
  splitShellText,
  type VariableLookup,
} from "./shell-words.ts";
import { explainValueError, ValueError } from "./values.ts";

/** What boot2container tells every container, and the words of its command may use. */
const PIPELINE_VARIABLES = [
  "B2C_PIPELINE_STATUS",
  "B2C_PIPELINE_FAILED_BY",
  "B2C_PIPELINE_PREV_CONTAINER",
  "B2C_PIPELINE_PREV_CONTAINER_EXIT_CODE",
  "B2C_PIPELINE_SHUTDOWN_MODE",
] as const;

/** Before the pipeline runs, its variables stand for themselves. */
export const showPipelineVariable: VariableLookup = (name) =>
  PIPELINE_VARIABLES.some((known) => known === name) ? `$${name}` : undefined;

export interface ContainerContext {
  /** The option's name, for messages. */
  option: string;
  lookup: VariableLookup;
  warn: (warning: string) => void;
}

/** Never throws: what is wrong is the step's `error`, and the rest of the step is what could be read. */
export function readB2cContainer(kind: StepKind, value: string, context: ContainerContext): Step {
  const { step, complaints } = readContainerWords(kind, value, context);
  return { ...step, ...formatError(value, complaints, context) };
}

/** What could be read, and each complaint as the end of "Cannot read …: …". */
export function readContainerWords(
  kind: StepKind,
  value: string,
  context: ContainerContext,
): { step: Step; complaints: string[] } {
  const draft: StepDraft = { env: [], envFiles: [], volumes: [], container: {} };
  const complaints: string[] = [];
  const attempt = (read: () => void) => {
    try {
      read();
    } catch (error) {
      complaints.push(explainValueError(error));
    }
  };
  attempt(() => {
    const words = splitWords(value, context);
    const flags = readPodmanFlags(words, draft);
    complaints.push(...flags.complaints);
    const [image, ...argv] = flags.rest;
    draft.argv = argv;
    attempt(() => {
      if (image === undefined) throw new ValueError("names no image");
      draft.image = parseStepImage(image);
    });
  });
  draft.env = resolveEnvironment(draft.env, context);
  return { step: { kind, ...trimDraft(draft), source: value }, complaints };
}

function splitWords(value: string, { option, lookup, warn }: ContainerContext): string[] {
  const tokens = splitShellText(value);
  const operator = tokens.find((token) => token.kind === "operator" && token.text !== "\n");
  if (operator?.kind === "operator") {
    throw new ValueError(
      `has "${operator.text}" outside of quotes, where boot2container's shell would do more than start a container: put it in single quotes`,
    );
  }
  if (tokens.some(isLineEndInside))
    warn(`${option} has a line end outside of quotes: it is taken for a space`);
  const unknown = listVariables(tokens).filter((name) => lookup(name) === undefined);
  for (const name of new Set(unknown)) {
    warn(
      `${option} has $${name} outside of single quotes: no such variable is there on the DUT, it becomes nothing`,
    );
  }
  return expandWords(tokens, lookup);
}

function isLineEndInside(token: ShellToken, at: number, { length }: { length: number }): boolean {
  return token.kind === "operator" && at > 0 && at < length - 1;
}

/** `NAME` alone would be taken from podman's own environment, where only the pipeline's variables are. */
function resolveEnvironment(env: readonly string[], { option, lookup, warn }: ContainerContext): string[] {
  return env.flatMap((entry) => {
    if (entry.includes("=")) return entry;
    const value = lookup(entry);
    if (value !== undefined) return `${entry}=${value}`;
    warn(
      `${option} has --env ${showValue(entry)} without a value: no such variable is there on the DUT, it is left out`,
    );
    return [];
  });
}

/** Fields that say nothing are left out. */
export function trimDraft({ envFiles, volumes, container, ...draft }: StepDraft): Omit<Step, "kind"> {
  return {
    ...draft,
    ...(envFiles.length > 0 && { envFiles }),
    ...(volumes.length > 0 && { volumes }),
    ...(Object.keys(container).length > 0 && { container }),
  };
}

function formatError(
  value: string,
  complaints: readonly string[],
  { option }: ContainerContext,
): Pick<Step, "error"> {
  if (complaints.length === 0) return {};
  return {
    error: new AgentError(
      "CMDLINE_BAD_VALUE",
      `Cannot read "${option}=${showValue(value)}": ${complaints.join("; ")}`,
      { hint: `Write it as ${option}="-e NAME=VALUE docker://HOST/IMAGE:TAG sh -c '…'"` },
    ),
  };
}

/**
 * Docker's reading of an image's name: without a host it is the Docker Hub's, and a first part with capitals is a host.
 * A bare id names an image that is here already. Throws IMAGE_BAD_REFERENCE or ValueError.
 */
function parseStepImage(text: string): StepImage {
  if (/^(?:sha256:[0-9a-f]{64}|[0-9a-f]{12,64})$/.test(text)) return { id: text.replace(/^sha256:/, "") };
  const plain = text.replace(/^docker:\/\//, "");
  const transport = /^(oci|oci-archive|docker-archive|docker-daemon|dir|containers-storage|sif):/.exec(
    plain,
  )?.[1];
  if (transport !== undefined)
    throw new ValueError(`has an image by "${transport}:", and only docker:// is known`);
  const [first = "", ...rest] = plain.split("/");
  if (rest.length === 0) return parseImageReference(`docker.io/${plain}`);
  if (/[.:]/.test(first) || first === "localhost") return parseImageReference(plain);
  if (first === first.toLowerCase()) return parseImageReference(`docker.io/${plain}`);
  return nameRegistry(parseImageReference(`${PLACE_HOLDER}/${rest.join("/")}`), first);
}

/** Stands for a host that has no dot, while the rest of its reference is read. */
const PLACE_HOLDER = "registry.invalid";

function nameRegistry(reference: ImageReference, registry: string): ImageReference {
  if (!/^[A-Za-z0-9-]+$/.test(registry))
    throw new ValueError(`has "${showValue(registry)}" as the registry's host`);
  return { ...reference, registry: registry.toLowerCase() };
}

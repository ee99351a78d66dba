/**
 * An option of any dialect: its name, the form of its value for help and messages, and the reader that puts the value into
 * the draft.
 */
import type { AgentError } from "../errors.ts";
import type { JobDraft } from "./job-draft.ts";
import type { ReadingRules } from "./syntax/sub-parameters.ts";

export interface Option {
  /** With its prefix: `dut.image`. */
  name: string;
  /** Older names. */
  aliases?: readonly string[];
  /** Absent for a bare word. */
  form?: string;
  isRepeatable?: boolean;
  /** Its value is secret from the first comma on. */
  isSecret?: boolean;
  /** A value that cannot be read is ignored with a warning: boot2container goes on without it, and nothing else runs for that. */
  isDispensable?: boolean;
  /** Throws ValueError, or the AgentError of the value's own parser. */
  read?: OptionReader;
}

/** An option of ours, with its documentation. */
export interface DutOption extends Option {
  help: string;
  /** A complete word of a command line. */
  example: string;
  /** Not allowed in a job file. */
  isOfLine?: boolean;
}

export interface OptionContext extends ReadingRules {
  /** Makes the error of this option; `reason` completes "Cannot read …: …". */
  createError: (reason: string) => AgentError;
  report: (error: AgentError) => void;
}

export type OptionReader = (value: string, draft: JobDraft, context: OptionContext) => void;

/** The parts of a draft that options write to. */
export const toJob = (draft: JobDraft) => draft;
export const toMachine = (draft: JobDraft) => draft.machine;
export const toEnd = (draft: JobDraft) => draft.end;
export const toLimits = (draft: JobDraft) => draft.limits;
export const toCache = (draft: JobDraft) => draft.cache;
export const toRootStep = (draft: JobDraft) => draft.rootStep;

/** Sets a field: the last value counts. */
export function set<Target, Name extends keyof Target>(
  select: (draft: JobDraft) => Target,
  name: Name,
  parse: (text: string, rules: ReadingRules) => Target[Name],
): OptionReader {
  return (value, draft, rules) => {
    select(draft)[name] = parse(value, rules);
  };
}

type ItemOf<List> = NonNullable<List> extends readonly (infer Item)[] ? Item : never;

/** Appends to a list. */
export function add<Target, Name extends keyof Target>(
  select: (draft: JobDraft) => Target,
  name: Name,
  parse: (text: string, rules: ReadingRules) => ItemOf<Target[Name]>,
): OptionReader {
  return addAll(select, name, (text, rules) => [parse(text, rules)]);
}

/** Appends several items to a list. */
export function addAll<Target, Name extends keyof Target>(
  select: (draft: JobDraft) => Target,
  name: Name,
  parse: (text: string, rules: ReadingRules) => ItemOf<Target[Name]>[],
): OptionReader {
  return (value, draft, rules) => {
    const target = select(draft);
    const items = (target[name] ?? []) as ItemOf<Target[Name]>[];
    target[name] = [...items, ...parse(value, rules)] as Target[Name];
  };
}

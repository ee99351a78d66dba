/**
 * One error code: what it means, who must act and what to do. Pages of the documentation are made from it.
 */

/** Who must act. LAVA's error classes are the model: a farm may retry `infra`, and must never retry `test`. */
export const BLAMES = ["infra", "job", "test", "config", "bug"] as const;
export type Blame = (typeof BLAMES)[number];

export interface ErrorDefinition {
  /** What has happened, in a sentence or two without a full stop at their end. */
  means: string;
  blame: Blame;
  /** What to do. */
  hint: string;
}

/** Keeps the codes' names as a type. */
export const defineErrors = <Table extends Record<string, ErrorDefinition>>(table: Table) => table;

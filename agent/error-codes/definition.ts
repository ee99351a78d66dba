/** The form of an error code's definition, from which the documentation is generated. */

/** Who must act. LAVA's error classes are the model: a farm may retry `infra` and must not retry `test`. */
export const BLAMES = ["infra", "job", "test", "config", "bug"] as const;
export type Blame = (typeof BLAMES)[number];

export interface ErrorDefinition {
  /** What happened: one or two sentences, without a full stop at the end. */
  means: string;
  blame: Blame;
  /** What to do. */
  hint: string;
}

/** Keeps the codes as literal types. */
export const defineErrors = <Table extends Record<string, ErrorDefinition>>(table: Table) => table;

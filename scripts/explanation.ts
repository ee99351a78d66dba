/**
 * Formats the explanation of a command line for people. Errors come last, where a terminal shows them.
 */
import type { JobDescription } from "../agent/job/explain/describe-job.ts";

/** Without a final line end. */
export function formatExplanation({ dialect, job, phases, warnings, errors }: JobDescription): string {
  const count = (list: readonly unknown[], word: string) =>
    list.length === 0 ? `no ${word}` : `${list.length} ${word}${list.length === 1 ? "" : "s"}`;
  const width = Math.max(0, ...phases.map(({ name }) => name.length));
  return [
    `dialect: ${dialect}`,
    ...(job ? ["phases:", ...phases.flatMap((phase) => formatPhase(phase, width))] : []),
    ...(job ? formatSteps(job) : []),
    ...warnings.map((warning) => `warning: ${warning}`),
    ...errors.flatMap(({ code, message, hint }) => [`error: ${message} (${code})`, `  hint: ${hint}`]),
    `${errors.length > 0 ? "invalid" : "valid"}: ${count(errors, "error")}, ${count(warnings, "warning")}`,
  ].join("\n");
}

function formatPhase(phase: JobDescription["phases"][number], width: number): string[] {
  const { name, does, skipped, limitMs } = phase;
  const limit = limitMs === null ? [] : [`(at most ${limitMs / 1000} s)`];
  const lines = skipped ? ["(skipped)"] : [...does, ...limit];
  return lines.map((line, at) => `  ${(at === 0 ? name : "").padEnd(width)}  ${line}`);
}

/** The settings of each step that the phases do not show. */
function formatSteps({ steps }: NonNullable<JobDescription["job"]>): string[] {
  return steps.flatMap(({ kind, image, env, envFiles, volumes, workdir, container, error }, at) => {
    const lines = [
      ...env.map((entry) => `env ${entry}`),
      ...envFiles.map((path) => `env from ${path}`),
      ...volumes.map(({ source, target, options }) =>
        ["volume", source ?? "(new)", "at", target, options.join(",")].join(" ").trim(),
      ),
      ...(workdir === null ? [] : [`in directory ${workdir}`]),
      ...(error === null ? [] : [`fails when its turn comes: ${error.code}`]),
      ...Object.entries(container).map(([name, value]) => `${name} ${JSON.stringify(value)}`),
    ];
    if (lines.length === 0) return [];
    return [
      `step ${at + 1} (${kind}${image === null ? "" : ` in ${image}`}):`,
      ...lines.map((line) => `  ${line}`),
    ];
  });
}

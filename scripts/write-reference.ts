/**
 * Writes docs/options.md from the option table, and docs/errors.md from the error table: `npm run docs`.
 * A test compares the committed pages with what this would write.
 */
import { writeFileSync } from "node:fs";
import { BLAMES, ERRORS, EXIT_CODE_BY_BLAME } from "../agent/errors.ts";
import { formatUsage, OPTIONS } from "../agent/job/options.ts";

export function formatOptionReference(): string {
  const options = OPTIONS.map(
    (option) => `## \`${formatUsage(option)}\`

${option.help}.${option.isRepeatable ? " Repeatable." : ""}

\`\`\`
${option.example}
\`\`\`
`,
  );
  return `# Options of the kernel command line

Made from \`agent/job/options.ts\` by \`npm run docs\`.

- Words are split as the kernel splits them: white space between them, double quotes keep spaces, round a value
  (\`dut.run="a b"\`) or round a whole word (\`"dut.run=a b"\`). There is no escape character.
- Words behind \` -- \` are init's, and not read.
- Of an option given more than once the last one counts, with a warning; those marked repeatable add up.
- An unknown \`dut.\` option is an error that names the nearest known one. Parameters without that prefix are left alone,
  except for the kernel's own \`ip=\` (Documentation/admin-guide/nfs/nfsroot.rst).
- No secret belongs on a command line: the kernel prints it on the console.

${options.join("\n")}`;
}

export function formatErrorReference(): string {
  const blames = BLAMES.map((blame) => `| ${blame} | ${EXIT_CODE_BY_BLAME[blame]} |`);
  const rows = Object.entries(ERRORS).map(
    ([code, { blame, hint }]) => `| \`${code}\` | ${blame} | ${hint} |`,
  );
  return `# Error codes

Made from \`agent/errors.ts\` by \`npm run docs\`. A verdict \`error\` carries one of these codes and who must act.

| blame | exit code of \`npm start\` and \`dutboot boot\` |
| --- | --- |
${blames.join("\n")}

| code | blame | what to do |
| --- | --- | --- |
${rows.join("\n")}
`;
}

/** Paths from the project's root. */
export const PAGES = [
  { path: "docs/options.md", text: formatOptionReference },
  { path: "docs/errors.md", text: formatErrorReference },
];

if (import.meta.main) {
  for (const { path, text } of PAGES) writeFileSync(new URL(`../${path}`, import.meta.url), text());
}

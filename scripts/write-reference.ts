/**
 * Writes docs/options.md from the option table, and docs/errors.md from the error table: `npm run docs`.
 * A test compares the committed pages with what this would write.
 */
import { writeFileSync } from "node:fs";
import { BLAMES, ERRORS, EXIT_CODE_BY_BLAME } from "../agent/errors.ts";
import { OPTIONS } from "../agent/job/options.ts";

export function formatOptionReference(): string {
  const rows = OPTIONS.map(({ name, form, help, isRepeatable }) => {
    return `| \`${name}=${form.replaceAll("|", "\\|")}\` | ${help}${isRepeatable ? "; repeatable" : ""} |`;
  });
  const examples = OPTIONS.map(({ example }) => example);
  return `# Options of the kernel command line

Made from \`agent/job/options.ts\` by \`npm run docs\`.

| option | meaning |
| --- | --- |
${rows.join("\n")}

Quotes follow the kernel's rules: \`dut.run="a b"\` and \`"dut.run=a b"\` are the same, and there is no escape character.
An unknown \`dut.\` option is an error; parameters without that prefix are left alone, except for the kernel's own \`ip=\`.

## Examples

\`\`\`
${examples.join("\n")}
\`\`\`
`;
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

const PAGES = [
  { path: "../docs/options.md", text: formatOptionReference },
  { path: "../docs/errors.md", text: formatErrorReference },
];

if (import.meta.main) {
  for (const { path, text } of PAGES) writeFileSync(new URL(path, import.meta.url), text());
}

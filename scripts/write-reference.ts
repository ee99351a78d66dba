/**
 * Writes docs/options.md and docs/job.schema.json from the option table, and the pages of the error codes: `npm run docs`.
 * A test compares the committed pages with what this would write.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { formatUsage, type Option } from "../agent/job/dut/option.ts";
import { OPTIONS } from "../agent/job/dut/options.ts";
import { DUT_PREFIX } from "../agent/job/dut/read-options.ts";
import { parseCommandLine } from "../agent/job/syntax/command-line.ts";
import { ERROR_PAGES } from "./error-pages.ts";

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

Made from \`agent/job/dut/options.ts\` by \`npm run docs\`.

- In a job file (\`dut.job\`, YAML or JSON, docs/job.schema.json) the same options stand under their names without \`dut.\`,
  those marked repeatable as a list if there are several, and \`env\` also as an object of names and values. Secrets may stand
  there. A job file names no other. An option of the command line wins over that of the file, and that is said; those marked
  repeatable add up, the file's first.

- Words are split as the kernel splits them: white space between them, double quotes keep spaces, round a value
  (\`dut.run="a b"\`) or round a whole word (\`"dut.run=a b"\`). There is no escape character.
- Words behind \` -- \` are init's, and not read.
- Of an option given more than once the last one counts, with a warning; those marked repeatable add up.
- An unknown \`dut.\` option is an error that names the nearest known one. Parameters without that prefix are left alone,
  except for the kernel's own \`ip=\` (Documentation/admin-guide/nfs/nfsroot.rst).
- No secret belongs on a command line: the kernel prints it on the console.

${options.join("\n")}`;
}

/** Of JSON Schema's draft 2020-12: names, kinds of values and help; what a value may be, the reader says. */
function formatJobSchema(): string {
  const options = OPTIONS.filter(({ isOfLine }) => !isOfLine);
  const properties = options.map((option) => [
    option.name.slice(DUT_PREFIX.length),
    describeProperty(option),
  ]);
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "dutboot job file",
    description:
      "What dut.job names, in YAML or JSON: the options of docs/options.md without their prefix. Made by `npm run docs`.",
    type: "object",
    properties: Object.fromEntries(properties),
    additionalProperties: false,
    $defs: { text: { type: ["string", "number", "boolean"] } },
  };
  return `${JSON.stringify(schema, null, 2).replace(PLAIN_LIST, joinList)}\n`;
}

/** A list without lists or objects in it, with what stands in front of it on its line. */
const PLAIN_LIST = /^.*\[\n[^[\]{}]*\]/gm;
const LINE_WIDTH = 110;

/** As the formatter has it: on one line where that is not too long. */
function joinList(text: string): string {
  const line = text.replace(/\n\s*(?=\])|(?<=\[)\n\s*/g, "").replace(/\n\s+/g, " ");
  return line.length <= LINE_WIDTH ? line : text;
}

function describeProperty({ name, form, help, example, isRepeatable }: Option) {
  const text = { $ref: "#/$defs/text" };
  const value = form === "yes|no" ? { enum: ["yes", "no", true, false] } : text;
  const kinds = [
    value,
    ...(isRepeatable ? [{ type: "array", items: text }] : []),
    ...(name === "dut.env" ? [{ type: "object", additionalProperties: text }] : []),
  ];
  return {
    description: `${form}: ${help}.`,
    ...(kinds.length === 1 ? value : { anyOf: kinds }),
    examples: [parseCommandLine(example).parameters[0]!.value],
  };
}

/** Paths from the project's root. */
export const PAGES: readonly { path: string; text: () => string }[] = [
  { path: "docs/options.md", text: formatOptionReference },
  ...ERROR_PAGES,
  { path: "docs/job.schema.json", text: formatJobSchema },
];

if (import.meta.main) {
  const resolve = (path: string) => new URL(`../${path}`, import.meta.url);
  // A code that is gone takes its page along.
  rmSync(resolve("docs/errors"), { recursive: true, force: true });
  mkdirSync(resolve("docs/errors"));
  for (const { path, text } of PAGES) writeFileSync(resolve(path), text());
}

/**
 * Formats the documentation of the error codes from their table: an index, and one page per code.
 */
import { BLAMES, type Blame, ERRORS, type ErrorCode, EXIT_CODE_BY_BLAME } from "../agent/errors.ts";

/** Who must act for each blame, and whether a retry of the same job makes sense. */
const ACTORS: Readonly<Record<Blame, { who: string; retry: string }>> = {
  infra: { who: "the farm's operator: network, servers, disks or power", retry: "a retry may help" },
  job: {
    who: "the author of the job, or of the image or artifact that it names",
    retry: "a retry fails in the same way",
  },
  test: {
    who: "the author of the test, or of the driver under test",
    retry: "a farm must not retry it, because that would hide a result",
  },
  config: {
    who: "the farm's owner: credentials, certificates, exports or kernel",
    retry: "a retry fails in the same way until the configuration is fixed",
  },
  bug: {
    who: "the dutboot project: please report it with the complete log",
    retry: "a retry may help",
  },
};

const CODES = Object.keys(ERRORS).sort() as ErrorCode[];

export function formatErrorIndex(): string {
  const blames = BLAMES.map((blame) => {
    const { who, retry } = ACTORS[blame];
    return `| ${blame} | ${who} | ${retry} | ${EXIT_CODE_BY_BLAME[blame]} |`;
  });
  const rows = CODES.map((code) => {
    const { blame, means } = ERRORS[code];
    return `| [\`${code}\`](errors/${code}.md) | ${blame} | ${means} |`;
  });
  return `# Error codes

Generated from \`agent/error-codes\` by \`npm run docs\`. A verdict \`error\` has one of these codes and a blame: who must act.

| blame | who must act | | exit code of \`npm start\` and \`dutboot boot\` |
| --- | --- | --- | --- |
${blames.join("\n")}

| code | blame | what it means |
| --- | --- | --- |
${rows.join("\n")}
`;
}

export function formatErrorPage(code: ErrorCode): string {
  const { means, blame, hint } = ERRORS[code];
  const { who, retry } = ACTORS[blame];
  return `# ${code}

${means}.

- **What to do:** ${hint}.
- **Who must act:** \`${blame}\`, that is ${who}; ${retry}.
- **Exit code** of \`npm start\` and \`dutboot boot\`: ${EXIT_CODE_BY_BLAME[blame]}.
- **In the log:** \`dutboot: verdict: error code=${code} blame=${blame} phase=…: \` and what was tried and what came back.

[All codes](../errors.md)
`;
}

/** Pages by path, relative to the project's root. */
export const ERROR_PAGES: readonly { path: string; text: () => string }[] = [
  { path: "docs/errors.md", text: formatErrorIndex },
  ...CODES.map((code) => ({ path: `docs/errors/${code}.md`, text: () => formatErrorPage(code) })),
];

/**
 * The documentation of the error codes, made from their table: an index, and a page for each code that a verdict can be looked up on.
 */
import { BLAMES, type Blame, ERRORS, type ErrorCode, EXIT_CODE_BY_BLAME } from "../agent/errors.ts";

/** Who that is, and whether it makes sense to run the job again as it is. */
const ACTORS: Readonly<Record<Blame, { who: string; retry: string }>> = {
  infra: { who: "the farm: its network, servers, disks or power", retry: "a retry may help" },
  job: { who: "whoever wrote the job, or made what it names", retry: "a retry ends the same way" },
  test: {
    who: "whoever wrote the test, or what it tests",
    retry: "a farm must not retry it: that would hide a result",
  },
  config: {
    who: "the farm's owner: credentials, certificates, exports, kernel",
    retry: "a retry ends the same way until that is set right",
  },
  bug: {
    who: "us, the makers of the agent: please report it with the full log",
    retry: "a retry may or may not help",
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

Made from the tables of \`agent/error-codes\` by \`npm run docs\`. A verdict \`error\` carries one of these codes and who must act.

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
- **In the log:** \`dutboot: verdict: error code=${code} blame=${blame} phase=…\`, with what was tried and what came back behind it.

[All codes](../errors.md)
`;
}

/** By path from the project's root. */
export const ERROR_PAGES: readonly { path: string; text: () => string }[] = [
  { path: "docs/errors.md", text: formatErrorIndex },
  ...CODES.map((code) => ({ path: `docs/errors/${code}.md`, text: () => formatErrorPage(code) })),
];

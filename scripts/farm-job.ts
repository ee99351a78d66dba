/**
 * The job that `npm start` boots: the test job, or a line of one's own completed with what only the farm knows.
 * Pure: the farm's addresses come in, a command line and a list of what was added go out.
 */

import { parseCommandLine } from "../agent/job/syntax/command-line.ts";

export interface FarmFacts {
  /** What stands for a name in braces in a line: `{registry}`. */
  addresses: Readonly<Record<string, string>>;
  image: string;
  artifact: { url: string; sha256: string };
  s3Url: string;
  s3Region: string;
  resultsBucket: string;
  resultsPrefix: string;
  /** `host:port` of the servers without TLS. */
  plainHosts: readonly string[];
}

export interface FarmJob {
  commandLine: string;
  /** Words that were not in the line given. */
  added: readonly string[];
}

/** What the test job runs: the script of the artifact, as Mesa's jobs do. */
const TEST_JOB = (farm: FarmFacts): string[] => [
  `dut.artifact=${farm.artifact.url},sha256=${farm.artifact.sha256}`,
  `dut.run="/install/run-vulkaninfo.sh"`,
  "dut.timeout=10m",
];

/** Completes `line`; without one the test job is taken. */
export function completeFarmJob(line: string | undefined, farm: FarmFacts): FarmJob {
  const job = line === undefined ? TEST_JOB(farm).join(" ") : fillAddresses(line, farm.addresses);
  const given = new Set(parseCommandLine(job).parameters.map(({ name }) => name));
  const ofFarm: Record<string, string> = {
    ...(needsImage(job) && { "dut.image": farm.image }),
    "dut.s3": `${farm.s3Url},region=${farm.s3Region}`,
    "dut.results": `s3://${farm.resultsBucket}/${farm.resultsPrefix}`,
    "dut.insecure": farm.plainHosts.join(","),
  };
  const added = Object.entries(ofFarm)
    // An S3 service of the caller's own: where its results go is the caller's to say.
    .filter(([name]) => !given.has(name) && !(name === "dut.results" && given.has("dut.s3")))
    .map(([name, value]) => `${name}=${value}`);
  // In front: what follows a ` -- ` in the line is not for us.
  return { commandLine: [...added, job].join(" "), added };
}

/** Where the line has no root of its own, nor steps, and no file that may name them. */
function needsImage(line: string): boolean {
  const { parameters } = parseCommandLine(line);
  return !parameters.some(
    ({ name, value }) =>
      /^(b2c\..*|dut\.(rootfs|step|job))$/.test(name) || (name === "root" && value === "/dev/nfs"),
  );
}

/** A brace that names nothing of the farm is the job's own: a shell's `${NAME}`, JSON. */
function fillAddresses(line: string, addresses: Readonly<Record<string, string>>): string {
  return line.replaceAll(/(?<!\$)\{(\w+)\}/g, (text, name: string) =>
    Object.hasOwn(addresses, name) ? addresses[name]! : text,
  );
}

/**
 * The job that `npm start` boots: the test job or the user's line, completed with the addresses of the virtual farm.
 */
import { END_MARKER } from "../agent/job/job-reader.ts";
import { chooseDialect } from "../agent/job/read-job.ts";
import { parseCommandLine } from "../agent/job/syntax/command-line.ts";

export interface FarmFacts {
  /** Values of names in braces in a line: `{registry}`. */
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
  /** Options that the given line did not have. */
  added: readonly string[];
}

/** The test job runs the artifact's script, as Mesa's jobs do. */
const TEST_JOB = (farm: FarmFacts): string[] => [
  `dut.artifact=${farm.artifact.url},sha256=${farm.artifact.sha256}`,
  `dut.run="/install/run-vulkaninfo.sh"`,
  "dut.timeout=10m",
];

/** Completes `line`, or the test job without a line. */
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
    // With another S3 service the farm's bucket for results does not exist.
    .filter(([name]) => !given.has(name) && !(name === "dut.results" && given.has("dut.s3")))
    .map(([name, value]) => `${name}=${value}`);
  // Before the line: words after ` -- ` are passed to init.
  const end = needsEnd(job) ? [END_MARKER] : [];
  return { commandLine: [...added, job, ...end].join(" "), added };
}

/** A line of our own dialect that lacks the end marker. Words after ` -- ` are init's. */
function needsEnd(line: string): boolean {
  const { parameters, initParameters } = parseCommandLine(line);
  return (
    chooseDialect(parameters) === "dut" &&
    initParameters.length === 0 &&
    !parameters.some(({ name }) => name === END_MARKER)
  );
}

/** Whether the line has no root, no steps and no job file. */
function needsImage(line: string): boolean {
  const { parameters } = parseCommandLine(line);
  return !parameters.some(
    ({ name, value }) =>
      /^(b2c\..*|dut\.(rootfs|step|job))$/.test(name) || (name === "root" && value === "/dev/nfs"),
  );
}

/** Other braces belong to the job: a shell's `${NAME}`, JSON. */
function fillAddresses(line: string, addresses: Readonly<Record<string, string>>): string {
  return line.replaceAll(/(?<!\$)\{(\w+)\}/g, (text, name: string) =>
    Object.hasOwn(addresses, name) ? addresses[name]! : text,
  );
}

/**
 * The job that `npm start` boots: the test job, or a line of one's own completed with what only the farm knows.
 * Pure: the farm's addresses come in, a command line and a list of what was added go out.
 */

export interface FarmFacts {
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

/** Completes `line`; `given` are the names of the options it has. Without a line the test job is taken. */
export function completeFarmJob(
  line: string | undefined,
  given: ReadonlySet<string>,
  farm: FarmFacts,
): FarmJob {
  const ofFarm: Record<string, string> = {
    "dut.image": farm.image,
    "dut.s3": `${farm.s3Url},region=${farm.s3Region}`,
    "dut.results": `s3://${farm.resultsBucket}/${farm.resultsPrefix}`,
    "dut.insecure": farm.plainHosts.join(","),
  };
  const added = Object.entries(ofFarm)
    // An S3 service of the caller's own: where its results go is the caller's to say.
    .filter(([name]) => !given.has(name) && !(name === "dut.results" && given.has("dut.s3")))
    .map(([name, value]) => `${name}=${value}`);
  const words = line === undefined ? TEST_JOB(farm) : [line];
  return { commandLine: [...words, ...added].join(" "), added };
}

/**
 * `npm start`: boots a job on a virtual DUT against a virtual farm and downloads the results.
 * Completes the user's job with what only the farm knows, and prints each option that it adds.
 */
import type { BootResult } from "../qemu/boot-dut.ts";
import { formatFarmCredentials } from "../qemu/farm/credentials.ts";
import { type Farm, startFarm } from "../qemu/farm/farm.ts";
import type { RunDirectory } from "../qemu/run-directory.ts";
import { pushImage } from "../qemu/test-image/push-image.ts";
import { type Command, type CommandInput, runCommand, UsageError } from "./command.ts";
import { completeFarmJob, type FarmFacts } from "./farm-job.ts";
import { catchInterrupts, unlessAborted } from "./interrupt.ts";
import { type BootFiles, prepareBootFiles, prepareFarmGoods, say } from "./prepare.ts";
import {
  claimRun,
  MACHINE_OPTIONS,
  type Machine,
  readMachine,
  repeatBoots,
  runDut,
  showPath,
} from "./run-dut.ts";

const BUCKET = "results";
const IMAGE_NAME = "dutboot/vulkan:trixie";
const TINY_IMAGE_NAME = "dutboot/busybox:1";
const ARTIFACT_NAME = "install.tar.zst";
const CREDENTIALS_FOLDER = "etc/dutboot/credentials";

export const startCommand: Command = {
  name: "start",
  summary: "Boot a job on the virtual farm and download its results",
  operands: "[-- 'COMMAND LINE']",
  options: MACHINE_OPTIONS,
  examples: [
    "npm start",
    `npm start -- 'dut.run="vulkaninfo --summary" dut.timeout=5m'`,
    `npm start -- 'dut.image={registry}/dutboot/busybox:1 dut.run="echo hello > /results/hello"'`,
    `npm start -- 'dut.artifact={https}/install.tar.zst dut.run=/install/run-vulkaninfo.sh dut.env=A=1'`,
    `npm start -- --times 50 --memory 1024 'dut.image={registry}/dutboot/busybox:1 dut.run=true'`,
  ],
  notes: [
    "Without a command line the test job runs. {registry}, {http}, {https} and {s3} stand for the farm's servers.",
    "If dut.image, dut.s3, dut.results or dut.insecure is missing, the farm's value is added.",
  ],
  run: startOnFarm,
};

async function startOnFarm(input: CommandInput): Promise<number> {
  if (input.operands.length > 1)
    throw new UsageError("Cannot use several operands: quote the command line as one argument");
  const machine = await readMachine(input);
  const interrupt = catchInterrupts();
  const failure = new AbortController();
  const signal = AbortSignal.any([interrupt, failure.signal]);
  const runDirectory = await claimRun();
  const farmUp = openFarm(runDirectory, signal);
  try {
    const [bootFiles, { farm, facts }] = await unlessAborted(
      Promise.all([prepareBootFiles(), farmUp]),
      signal,
    );
    return await repeatBoots(input, signal, async (count) => {
      // The first run's directory has the farm's state; later boots get their own directories.
      const ownDirectory = count === 1 ? runDirectory : await claimRun();
      return bootOnFarm({
        farm,
        bootFiles,
        facts,
        machine,
        line: input.operands[0],
        signal,
        runDirectory: ownDirectory,
      });
    });
  } finally {
    // Stops a farm that is still starting.
    failure.abort(new Error("The farm is no longer needed"));
    const farm = await farmUp.then(
      ({ farm }) => farm,
      () => undefined,
    );
    await farm?.stop();
  }
}

interface StockedFarm {
  farm: Farm;
  facts: Omit<FarmFacts, "resultsPrefix">;
}

/** Starts a farm with the image, the artifact and a bucket for results. */
async function openFarm({ path }: RunDirectory, signal: AbortSignal): Promise<StockedFarm> {
  const [farm, { image, tinyImage, artifact }] = await Promise.all([
    startFarm({ runDir: path, log: say, signal }),
    prepareFarmGoods(signal),
  ]);
  const [digest] = await Promise.all([
    pushImage(farm, image, IMAGE_NAME, { signal }),
    pushImage(farm, tinyImage, TINY_IMAGE_NAME, { signal }),
    farm.http.publish(artifact.path, ARTIFACT_NAME),
    farm.s3.createBucket(BUCKET),
  ]);
  say(`farm: serves ${IMAGE_NAME}, ${TINY_IMAGE_NAME} and ${ARTIFACT_NAME}`);
  const facts = {
    addresses: {
      registry: farm.registry.guestAddress,
      http: farm.http.guestUrl,
      https: farm.https.guestUrl,
      s3: farm.s3.guestUrl,
    },
    image: `${farm.registry.guestAddress}/${IMAGE_NAME}@${digest}`,
    artifact: { url: `${farm.https.guestUrl}/${ARTIFACT_NAME}`, sha256: artifact.sha256 },
    s3Url: farm.s3.guestUrl,
    s3Region: farm.s3.region,
    resultsBucket: BUCKET,
    plainHosts: [farm.s3.guestUrl, farm.http.guestUrl].map((url) => new URL(url).host),
  };
  return { farm, facts };
}

interface FarmBoot extends StockedFarm {
  bootFiles: BootFiles;
  machine: Machine;
  line: string | undefined;
  signal: AbortSignal;
  runDirectory: RunDirectory;
}

function bootOnFarm({
  farm,
  facts,
  bootFiles,
  machine,
  line,
  signal,
  runDirectory,
}: FarmBoot): Promise<BootResult> {
  const job = completeFarmJob(line, { ...facts, resultsPrefix: runDirectory.id });
  if (line !== undefined) for (const option of job.added) say(`job: added for the farm: ${option}`);
  say(`job: ${job.commandLine}`);
  const credentials = Object.entries(formatFarmCredentials(farm));
  say(`job: credentials by an extra initrd archive: ${credentials.map(([name]) => name).join(", ")}`);
  return runDut(
    {
      toolsRoot: farm.tools,
      kernel: bootFiles.kernel,
      initrds: [bootFiles.initrd, bootFiles.modules],
      commandLine: job.commandLine,
      extraFiles: credentials.map(([name, text]) => ({
        path: `${CREDENTIALS_FOLDER}/${name}`,
        content: Buffer.from(text),
      })),
      machine,
      runDirectory,
      signal,
    },
    () => bringResults(farm, runDirectory),
  );
}

/** Downloads what the DUT uploaded. An empty result is reported and is not an error. */
async function bringResults(farm: Farm, { id, resultsPath }: RunDirectory): Promise<void> {
  const paths = await farm.s3.downloadObjects(BUCKET, id, resultsPath);
  console.log(`\nresults: ${paths.length} files in ${showPath(resultsPath)}`);
  for (const path of paths.sort()) console.log(`  ${path}`);
}

if (import.meta.main) process.exitCode = await runCommand(startCommand, process.argv.slice(2));

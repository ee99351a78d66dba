/**
 * `npm start`: a virtual farm, a virtual DUT and a job on it, from nothing to results in a folder.
 * A job of one's own is completed with what only the farm can know, and every such word is said.
 */
import type { BootResult } from "../qemu/boot-dut.ts";
import { formatFarmCredentials } from "../qemu/farm/credentials.ts";
import { type Farm, startFarm } from "../qemu/farm/farm.ts";
import type { RunDirectory } from "../qemu/run-directory.ts";
import { pushImage } from "../qemu/test-image/push-image.ts";
import { type Command, type CommandInput, runCommand, UsageError } from "./command.ts";
import { completeFarmJob, type FarmFacts } from "./farm-job.ts";
import { catchInterrupts } from "./interrupt.ts";
import { type FarmGoods, prepareFarmGoods, say } from "./prepare.ts";
import { claimRun, MACHINE_OPTIONS, repeatBoots, runDut, showPath } from "./run-dut.ts";

const BUCKET = "results";
const IMAGE_NAME = "dutboot/vulkan:trixie";
const ARTIFACT_NAME = "install.tar.zst";
const CREDENTIALS_FOLDER = "etc/dutboot/credentials";

export const startCommand: Command = {
  name: "start",
  summary: "Boot a job on the virtual farm and bring its results back",
  operands: "[-- 'COMMAND LINE']",
  options: MACHINE_OPTIONS,
  examples: [
    "npm start",
    `npm start -- 'dut.run="vulkaninfo --summary" dut.timeout=5m'`,
    `npm start -- 'dut.image=HOST/NAME:TAG dut.run="echo hello > /results/hello"'`,
    "npm start -- --times 50 --memory 1024",
  ],
  run: startOnFarm,
};

async function startOnFarm(input: CommandInput): Promise<number> {
  if (input.operands.length > 1) throw new UsageError("Cannot tell the command line: quote it as one word");
  const signal = catchInterrupts();
  const runDirectory = await claimRun();
  const goods = await prepareFarmGoods(signal);
  const farm = await startFarm({ runDir: runDirectory.path, log: say, signal });
  try {
    const facts = await stockFarm(farm, goods, signal);
    return await repeatBoots(input, signal, (count) =>
      // The farm's state stands in the first run's directory; each boot has one of its own.
      bootOnFarm({
        farm,
        goods,
        facts,
        input,
        signal,
        claim: () => (count === 1 ? Promise.resolve(runDirectory) : claimRun()),
      }),
    );
  } finally {
    await farm.stop();
  }
}

/** Puts the image, the artifact and a place for results into the farm. */
async function stockFarm(farm: Farm, { image, artifact }: FarmGoods, signal: AbortSignal) {
  const [digest] = await Promise.all([
    pushImage(farm, image, IMAGE_NAME, { signal }),
    farm.http.publish(artifact.path, ARTIFACT_NAME),
    farm.s3.createBucket(BUCKET),
  ]);
  say(`farm: stocked with ${IMAGE_NAME} and ${ARTIFACT_NAME}`);
  return {
    image: `${farm.registry.guestAddress}/${IMAGE_NAME}@${digest}`,
    artifact: { url: `${farm.https.guestUrl}/${ARTIFACT_NAME}`, sha256: artifact.sha256 },
    s3Url: farm.s3.guestUrl,
    s3Region: farm.s3.region,
    resultsBucket: BUCKET,
    plainHosts: [farm.s3.guestUrl, farm.http.guestUrl].map((url) => new URL(url).host),
  } satisfies Partial<FarmFacts>;
}

interface FarmBoot {
  farm: Farm;
  goods: FarmGoods;
  facts: Omit<FarmFacts, "resultsPrefix">;
  input: CommandInput;
  signal: AbortSignal;
  claim: () => Promise<RunDirectory>;
}

async function bootOnFarm({ farm, goods, facts, input, signal, claim }: FarmBoot): Promise<BootResult> {
  const runDirectory = await claim();
  const line = input.operands[0];
  const job = completeFarmJob(line, { ...facts, resultsPrefix: runDirectory.id });
  if (line !== undefined) for (const word of job.added) say(`job: from the farm: ${word}`);
  say(`job: ${job.commandLine}`);
  const credentials = Object.entries(formatFarmCredentials(farm));
  say(`job: credentials by an extra initrd archive: ${credentials.map(([name]) => name).join(", ")}`);
  return runDut(
    {
      toolsRoot: goods.toolsRoot,
      kernel: goods.bootFiles.kernel,
      initrds: [goods.bootFiles.initrd, goods.bootFiles.modules],
      commandLine: job.commandLine,
      extraFiles: credentials.map(([name, text]) => ({
        path: `${CREDENTIALS_FOLDER}/${name}`,
        content: Buffer.from(text),
      })),
      runDirectory,
      signal,
    },
    input,
    () => bringResults(farm, runDirectory),
  );
}

/** Downloads what the DUT uploaded; that there is nothing is said, and no failure of its own. */
async function bringResults(farm: Farm, { id, resultsPath }: RunDirectory): Promise<void> {
  const paths = await farm.s3.downloadObjects(BUCKET, id, resultsPath);
  console.log(`\nresults: ${paths.length} files in ${showPath(resultsPath)}`);
  for (const path of paths.sort()) console.log(`  ${path}`);
}

if (import.meta.main) process.exitCode = await runCommand(startCommand, process.argv.slice(2));

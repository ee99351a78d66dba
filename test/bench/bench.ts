/**
 * `npm run bench`: pulls to a mounted root by the agent, by podman and by a shell script, paired, and compares them.
 * Prints a table on stdout; out/bench/ gets every number. docs/benchmark.md says what is measured and how to read it.
 */
import { spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { removeTree } from "../../qemu/cache-entry.ts";
import { ensureToolsRoot } from "../../qemu/tools-root.ts";
import {
  type Command,
  type CommandInput,
  parseCount,
  runCommand,
  UsageError,
} from "../../scripts/command.ts";
import { catchInterrupts } from "../../scripts/interrupt.ts";
import { ensureBenchGoods } from "./bench-goods.ts";
import type { BenchImage } from "./bench-image.ts";
import { benchImage, CASES, type CaseName } from "./bench-run.ts";
import { bundleBenchAgent } from "./case-agent.ts";
import { bundleCheckouts, type Comparison, compareImage, formatComparison } from "./compare-checkouts.ts";
import { benchConsole } from "./console-bench.ts";
import { type CaseResult, formatTable, summarize } from "./measurement.ts";
import { smallFilesImage } from "./small-files-image.ts";
import { vulkanImage } from "./vulkan-image.ts";

const OUT = fileURLToPath(new URL("../../out/bench", import.meta.url));
const IMAGES: readonly BenchImage[] = [vulkanImage, smallFilesImage];
const DEFAULT_RUNS = "5";
/** Each run takes two seconds, and the differences are small. */
const DEFAULT_CONSOLE_RUNS = "21";

const benchCommand: Command = {
  name: "bench",
  summary: "Compare the agent's pulls with podman's and with curl | zstd -d | tar -x",
  options: {
    image: { type: "string", multiple: true, value: "NAME", help: IMAGES.map(({ name }) => name).join(", ") },
    case: { type: "string", multiple: true, value: "CASE", help: CASES.join(", ") },
    runs: { type: "string", value: "N", help: `Runs of each case; default ${DEFAULT_RUNS}` },
    folder: { type: "string", value: "DIR", help: "Pull to the disk of this folder; default out/bench" },
    against: {
      type: "string",
      multiple: true,
      value: "DIRECTORY",
      help: "Compare with the agent of another checkout, in place of podman and curl",
    },
    console: {
      type: "boolean",
      help: "Measure what a slow console costs a test that prints 50 MB, and nothing else",
    },
    profile: { type: "boolean", help: "Keep V8's profiles of the agent's threads in out/bench/profiles" },
  },
  notes: [
    "Needs root, and curl, zstd, gzip and tar on this machine; podman comes from the tools root. The images are made",
    "once, which takes some minutes. The exit code is 1 when a mark is missed.",
  ],
  examples: [
    "npm run bench",
    "npm run bench -- --console",
    "npm run bench -- --against ../base",
    "npm run bench -- --image small-files --case zstd --runs 1",
  ],
  run: bench,
};

/** Mounts and their loop devices end with this namespace, however the benchmark ends. */
const APART = ["unshare", "--mount", "--propagation", "private", "--"];
const IS_APART = "DUTBOOT_BENCH_IS_APART";

async function bench(input: CommandInput): Promise<number> {
  if (input.flag("console")) return benchSlowConsole(input);
  const images = choose("image", input.texts("image"), IMAGES, ({ name }) => name);
  const cases = choose("case", input.texts("case"), CASES, (name) => name) as CaseName[];
  const runs = parseCount("runs", input.text("runs") ?? DEFAULT_RUNS);
  const signal = catchInterrupts();
  const log = (line: string) => console.log(line);
  const profileFolder = input.flag("profile") ? join(OUT, "profiles") : undefined;
  const tools = await ensureToolsRoot({ log, signal });
  const work = join(input.text("folder") ?? OUT, `work-${process.pid}`);
  const startedAt = new Date().toISOString();
  const directories = input.texts("against");
  if (directories.length > 0) {
    const comparisons: Comparison[] = [];
    try {
      const agents = await bundleCheckouts(join(work, "code"), directories);
      for (const image of images) {
        const goods = await ensureBenchGoods(tools, image, { log, signal });
        const workFolder = join(work, image.name);
        comparisons.push(
          ...(await compareImage({
            image: image.name,
            goods,
            tools,
            agents,
            cases,
            runs,
            workFolder,
            log,
            signal,
          })),
        );
      }
      const { table, missed } = formatComparison(comparisons, agents);
      const path = await writeReport(startedAt, { runs, comparisons }, table);
      return finish(table, path, missed);
    } finally {
      await removeTree(work);
    }
  }
  const results: CaseResult[] = [];
  try {
    const agent = await bundleBenchAgent(join(work, "code"));
    for (const image of images) {
      const goods = await ensureBenchGoods(tools, image, { log, signal });
      log(describeGoods(image, goods));
      const workFolder = join(work, image.name);
      results.push(
        ...(await benchImage({
          image: image.name,
          goods,
          tools,
          agent,
          cases,
          runs,
          workFolder,
          log,
          signal,
          profileFolder,
        })),
      );
    }
  } finally {
    await removeTree(work);
  }
  const table = formatTable(results);
  const summarized = results.map((result) => ({ ...result, summary: summarize(result) }));
  const path = await writeReport(startedAt, { runs, cases: summarized }, table);
  const missed = summarized.flatMap(({ image, name, summary }) =>
    summary.missed.map((text) => `${image}, ${name}: ${text}`),
  );
  return finish(table, path, missed);
}

function finish(table: string, path: string, missed: readonly string[]): number {
  console.log(`\n${table}\n\nEvery number: ${path}`);
  for (const line of missed) console.log(`missed: ${line}`);
  return missed.length > 0 ? 1 : 0;
}

async function benchSlowConsole(input: CommandInput): Promise<number> {
  const runs = parseCount("runs", input.text("runs") ?? DEFAULT_CONSOLE_RUNS);
  const signal = catchInterrupts();
  const { table, missed } = await benchConsole(runs, { log: (line) => console.log(line), signal });
  console.log(`\n${table}`);
  for (const line of missed) console.log(`missed: ${line}`);
  return missed.length > 0 ? 1 : 0;
}

function choose<Item>(
  option: string,
  asked: readonly string[],
  all: readonly Item[],
  nameOf: (item: Item) => string,
): Item[] {
  const names = all.map(nameOf);
  const unknown = asked.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`Cannot use --${option} "${unknown}": one of ${names.join(", ")} is expected`);
  }
  return all.filter((item) => asked.length === 0 || asked.includes(nameOf(item)));
}

function describeGoods(image: BenchImage, goods: Awaited<ReturnType<typeof ensureBenchGoods>>): string {
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  const blobs = Object.entries(goods.first).map(
    ([format, { layer }]) => `${format} ${megabytes(layer.sizeBytes)}`,
  );
  const size = `${megabytes(goods.tarBytes)} as tar, ${blobs.join(", ")}`;
  return `${image.name}: ${image.summary}, ${size}; update: ${goods.change}`;
}

async function writeReport(startedAt: string, results: object, table: string): Promise<string> {
  const folder = join(OUT, startedAt.replaceAll(/[-:]|\.\d+/g, ""));
  await mkdir(folder, { recursive: true });
  const report = {
    startedAt,
    machine: { cpus: cpus().length, model: cpus()[0]?.model, node: process.version },
    ...results,
  };
  const path = join(folder, "bench.json");
  await writeFile(path, `${JSON.stringify(report, null, 2)}\n`);
  await writeFile(join(folder, "table.md"), `${table}\n`);
  return path;
}

function runApart(): number {
  const [program = "", ...words] = [
    ...APART,
    process.execPath,
    import.meta.filename,
    ...process.argv.slice(2),
  ];
  const env = { ...process.env, [IS_APART]: "1" };
  return spawnSync(program, words, { stdio: "inherit", env }).status ?? 1;
}

if (import.meta.main) {
  const isApart = process.env[IS_APART] !== undefined;
  process.exitCode = isApart ? await runCommand(benchCommand, process.argv.slice(2)) : runApart();
}

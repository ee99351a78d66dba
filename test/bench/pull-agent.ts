/**
 * Runs the agent's code from a reference to a mounted root, as the process that the benchmark measures.
 * Called with a PullOrder in JSON; prints a PullReport in JSON and ends. Its mounts end with its mount namespace.
 */
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { RootDriverChoice } from "../../agent/job/job.ts";
import { syncfs } from "../../agent/kernel/syscalls.ts";
import { createHttpClient } from "../../agent/net/http/http-client.ts";
import { RegistryClient } from "../../agent/net/registry/registry.ts";
import { parseImageReference } from "../../agent/oci/reference.ts";
import { fetchImage } from "../../agent/phases/fetch.ts";
import type { PhaseContext } from "../../agent/phases/phase-runner.ts";
import { startProgress } from "../../agent/report/log/progress.ts";
import { chooseRootDriver } from "../../agent/root/drivers/choose-driver.ts";
import { createUnpackPool } from "../../agent/root/unpack/pool.ts";
import { openObjectStore } from "../../agent/store/object-store.ts";
import { readFreeBytes } from "../../agent/store/open-store.ts";
import { openStoreLayout } from "../../agent/store/store-layout.ts";

export interface PullOrder {
  /** `127.0.0.1:PORT/name:tag`, plain HTTP. */
  reference: string;
  storeDir: string;
  driver: RootDriverChoice;
}

export interface PullReport {
  driver: string;
  /** From the process's start (by the kernel) to our first line, and then of each stage. */
  phasesMs: { start: number; open: number; fetch: number; mount: number; sync: number };
  bytesFetched: number;
  files: number;
  peakRssBytes: number;
  log: string[];
}

runPull(JSON.parse(process.argv[2]!)).catch((error: unknown) => {
  // The bundle is CommonJS, which has no top-level await.
  console.error(error);
  process.exit(1);
});

async function runPull({ reference, storeDir, driver }: PullOrder): Promise<void> {
  const marks = [performance.now()];
  const mark = () => marks.push(performance.now());
  const lines: string[] = [];
  const say = (line: string) => lines.push(line);
  const log = { debug: say, info: say, warn: say, error: say } as unknown as PhaseContext["log"];
  const { signal } = new AbortController();

  const pool = createUnpackPool();
  pool.warmUp();
  mkdirSync(storeDir, { recursive: true });
  const { layout } = openStoreLayout(storeDir);
  const store = await openObjectStore(layout);
  const scratchDir = store.createStaging();
  const rootDriver = chooseRootDriver(driver, { store, pool, scratchDir, log });
  const image = parseImageReference(reference);
  const http = createHttpClient({ insecureHosts: [image.registry], log });
  const registry = new RegistryClient(http, { auth: () => undefined });
  mark();

  let bytesFetched = 0;
  const platform = { os: "linux", architecture: process.arch === "x64" ? "amd64" : process.arch };
  const { layers } = await fetchImage(
    image,
    { log, signal },
    {
      registry,
      rootDriver,
      emit: () => {},
      platform,
      readFreeBytes: () => readFreeBytes(storeDir),
      startProgress: (options) => {
        const progress = startProgress(options);
        return {
          ...progress,
          add: (bytes) => {
            bytesFetched += bytes;
            progress.add(bytes);
          },
        };
      },
    },
  );
  mark();
  await rootDriver.mount(layers, {
    target: join(scratchDir, "root"),
    upperDir: join(scratchDir, "upper"),
    workDir: join(scratchDir, "work"),
  });
  mark();
  // The store has flushed its files; this waits for anything else.
  const fd = openSync(storeDir, "r");
  await syncfs(fd);
  closeSync(fd);
  mark();

  const [begin = 0, ...ends] = marks;
  const [open = 0, fetch = 0, mount = 0, sync = 0] = ends.map((end, index) => end - (marks[index] ?? 0));
  const report: PullReport = {
    driver: rootDriver.name,
    phasesMs: { start: begin, open, fetch, mount, sync },
    bytesFetched,
    files: layers.reduce((sum, layer) => sum + layer.files, 0),
    peakRssBytes: readPeakRss(),
    log: lines,
  };
  await http.close();
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}

/** The high-water mark of the whole process, threads included. */
function readPeakRss(): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
  return Number(match?.[1] ?? 0) * 1024;
}

/**
 * Stands for the agent in a mount namespace of its own: opens the store as told by its one argument (JSON) and says what came of it.
 */
import { join } from "node:path";
import { AgentError } from "../../../agent/errors.ts";
import type { Dialect } from "../../../agent/job/job.ts";
import { mount } from "../../../agent/kernel/syscalls.ts";
import type { DeviceChoice } from "../../../agent/store/device/choose-device.ts";
import { openStore } from "../../../agent/store/open-store.ts";

const wish = JSON.parse(process.argv[2]!) as {
  folder: string;
  choice: DeviceChoice;
  dialect?: Dialect;
  mayFormat?: boolean;
  spare?: string;
  fileSystem?: string;
};
const lines: string[] = [];
const tell = (line: string) => void lines.push(line);
const { choice, dialect = "dut", mayFormat = false, spare, fileSystem } = wish;
try {
  const store = await openStore(
    { choice, mayFormat, quota: { percent: 50 } },
    {
      path: join(wish.folder, "store"),
      log: { info: tell, warn: tell, error: tell },
      signal: new AbortController().signal,
      dialect,
      waitMs: 0,
      // Nothing else on the machine that runs the tests.
      isSpareDisk: ({ path }) => path === spare,
      ...(fileSystem !== undefined && {
        cacheFileSystem: {
          name: "shared",
          mount: async (target: string) => mount({ source: fileSystem, target, type: "ext4" }),
        },
      }),
    },
  );
  store.close();
  process.stdout.write(JSON.stringify({ kind: store.kind, outcome: store.outcome, lines }));
} catch (error) {
  process.stdout.write(
    JSON.stringify({ error: error instanceof AgentError ? error.code : String(error), lines }),
  );
}

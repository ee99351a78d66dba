/** Replaces the agent on a diskless DUT: attaches a network block device, uses it for cache and swap, and detaches it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { umount } from "../../../agent/kernel/syscalls.ts";
import { openStore } from "../../../agent/store/open-store.ts";
import { createModuleLoader } from "../../../agent/sys/machine/modules.ts";
import { bringUpNetwork } from "../../../agent/sys/network/network.ts";
import { attachNetworkBlockDevice } from "../../../agent/sys/storage/nbd.ts";
import { enableSwap } from "../../../agent/sys/storage/swap.ts";

const tell = (line: string) => console.log(`stub: ${line}`);
const log = { debug: tell, info: tell, warn: tell, error: tell };
const { signal } = new AbortController();

async function main(): Promise<void> {
  const modules = createModuleLoader({ log });
  await modules.loadForDevices();
  await modules.load("overlay", "loop", "erofs", "ext4");
  const network = await bringUpNetwork({ log, lookForDevices: modules.loadForDevices });
  const [, port] = /\bstub=(\d+)/.exec(readFileSync("/proc/cmdline", "utf8"))!;
  const device = await attachNetworkBlockDevice(
    { device: "/dev/nbd0", host: "10.0.2.2", port: Number(port), connections: 2 },
    { log, loadModule: modules.load },
  );
  const cache = { choice: { device: "/dev/nbd0" }, mayFormat: true, quota: { percent: 90 } } as const;
  const store = await openStore(cache, { path: "/store", log, signal, dialect: "b2c" });
  tell(`store in ${store.kind} ${JSON.stringify(store.outcome)}`);
  writeFileSync("/store/kept", "by the farm");
  const swap = await enableSwap({ sizeBytes: 32 * 1024 * 1024 }, { log, folder: store.scratchDir });
  tell(`swaps: ${readFileSync("/proc/swaps", "utf8").split("\n")[1]?.split(/\s/)[0]}`);
  await swap.release();
  tell(`read back: ${readFileSync(join("/store", "kept"), "utf8")}`);
  store.close();
  umount("/store");
  device.release();
  network.stop();
  tell("all done");
}

main().catch((error: Error) => tell(`failed: ${error.stack}`));

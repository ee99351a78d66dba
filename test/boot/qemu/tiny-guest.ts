/** A guest with a static busybox and a shell script, for tests of how the harness judges its end. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { EVENT_PORT_NAME } from "../../../agent/wire/event.ts";
import { type CpioEntry, formatCpio } from "../../../initrd/cpio-writer.ts";
import { type BootOptions, type BootResult, bootDut } from "../../../qemu/boot-dut.ts";
import { claimRunDirectory } from "../../../qemu/run-directory.ts";
import { ensureToolsRoot } from "../../../qemu/tools-root.ts";

/** Runs before each script: creates devices and sets `$port`, the event port. */
const PRELUDE = `#!/bin/busybox sh
/bin/busybox mkdir -p /dev /proc /sys
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for name in /sys/class/virtio-ports/*/name; do
  if [ "$(cat $name)" = ${EVENT_PORT_NAME} ]; then port=/dev/$(basename $(dirname $name)); fi
done
`;

export interface TinyGuest {
  folder: string;
  /** Boots a guest that runs `script` as its init. */
  boot(script: string, options?: Partial<BootOptions>): Promise<BootResult>;
  remove(): Promise<void>;
}

const directory = (path: string): CpioEntry => ({ path, type: "directory" });
const program = (path: string, content: Buffer): CpioEntry => ({ path, type: "file", mode: 0o755, content });

export async function createTinyGuest(kernel: string): Promise<TinyGuest> {
  const toolsRoot = await ensureToolsRoot({ log: () => {} });
  const folder = await mkdtemp(join(tmpdir(), "dutboot-boot-"));
  const base = join(folder, "busybox.cpio");
  const busybox = await readFile(join(toolsRoot.path, "usr/bin/busybox"));
  // Compressed, so that its length is not aligned and the join must add padding.
  await writeFile(
    base,
    gzipSync(formatCpio([directory("bin"), program("bin/busybox", busybox)]), { level: 1 }),
  );
  let scripts = 0;
  return {
    folder,
    async boot(script, options = {}) {
      scripts += 1;
      const init = join(folder, `init-${scripts}.cpio`);
      await writeFile(init, formatCpio([program("init", Buffer.from(PRELUDE + script))]));
      return bootDut({
        toolsRoot,
        runDirectory: await claimRunDirectory(join(folder, "runs")),
        kernel,
        initrds: [base, init],
        commandLine: "quiet",
        memoryMiB: 256,
        cpus: 1,
        nics: [],
        timeoutMs: 120_000,
        ...options,
      });
    },
    remove: () => rm(folder, { recursive: true }),
  };
}

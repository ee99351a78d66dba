/**
 * Mounts an NFS export by mount(2), trying versions in turn. A plain connection probes the server first, because the kernel reports
 * a dead one only after minutes.
 */
import { lookup } from "node:dns/promises";
import { mkdirSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { AgentError } from "../../errors.ts";
import type { NfsExport } from "../../job/job.ts";
import { isKernelError, type KernelError } from "../../kernel/errno.ts";
import { MS_RDONLY, mountAsync } from "../../kernel/mount.ts";
import { NFS_ANSWER_MS, NFS_MOUNT_MS, NFS_RETRY_MS } from "../limits.ts";
import type { SysLog } from "../sys-log.ts";
import { settlesWithin } from "../waits.ts";
import { avoidsTcp, type NfsMountPlan, planNfsMounts, readNfsPort } from "./options.ts";

export interface NfsMountOptions {
  isWritable: boolean;
  /** This machine's. */
  ownAddress?: string;
  loadModule(name: string): Promise<boolean>;
  log: SysLog;
  signal?: AbortSignal;
}

/** Creates `target` where it is missing. Throws NFS_… */
export async function mountNfs(location: NfsExport, target: string, options: NfsMountOptions): Promise<void> {
  const { isWritable, ownAddress, log, signal } = options;
  const name = `${location.server}:${location.path}`;
  const serverAddress = await findAddress(location.server, name, signal);
  if (!avoidsTcp(location.options))
    await waitForServer(serverAddress, readNfsPort(location.options), name, options);
  const plans = planNfsMounts({ ...location, serverAddress, ownAddress });
  mkdirSync(target, { recursive: true, mode: 0o755 });
  const refusals: { version: string; error: KernelError }[] = [];
  for (const plan of plans) {
    for (const module of plan.modules) await options.loadModule(module);
    const startedMs = performance.now();
    const error = await tryMount(plan, target, { isWritable, name, signal });
    if (!error) {
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      log.info(
        `nfs: ${name} mounted by version ${plan.version}${isWritable ? ", writable" : ""} in ${seconds} s`,
      );
      return;
    }
    refusals.push({ version: plan.version, error });
    if (!TRIES_NEXT_VERSION.has(error.code)) break;
  }
  throw explainRefusals(name, refusals);
}

/** Answers of a server that lacks the version, or that has the export elsewhere in version 4's tree: the next version may work. */
const TRIES_NEXT_VERSION: ReadonlySet<string> = new Set([
  "EPROTONOSUPPORT",
  "EINVAL",
  "ENOENT",
  "EPROTO",
  "ENOTSUP",
  "ENODEV",
]);

/** Answers of a kernel or server without the version. */
const MEANS_UNSUPPORTED: ReadonlySet<string> = new Set(["EPROTONOSUPPORT", "ENOTSUP", "ENODEV"]);

async function findAddress(server: string, name: string, signal: AbortSignal | undefined): Promise<string> {
  try {
    const { address } = await lookup(server.replace(/^\[(.*)\]$/, "$1"), {
      family: server.includes(":") ? 6 : 0,
    });
    return address;
  } catch (cause) {
    signal?.throwIfAborted();
    throw new AgentError(
      "NFS_UNREACHABLE",
      `Cannot find the NFS server of "${name}": ${(cause as NodeJS.ErrnoException).code}`,
      {
        cause,
      },
    );
  }
}

/** A server may start late, and a switch may block a new link for half a minute. */
async function waitForServer(
  host: string,
  port: number,
  name: string,
  { log, signal }: Pick<NfsMountOptions, "log" | "signal">,
): Promise<void> {
  const startedMs = performance.now();
  for (let isLogged = false; ; isLogged = true) {
    const refusal = await probePort(host, port, signal);
    if (refusal === undefined) return;
    if (performance.now() - startedMs > NFS_ANSWER_MS) {
      const seconds = Math.round(NFS_ANSWER_MS / 1000);
      throw new AgentError(
        "NFS_UNREACHABLE",
        `Cannot reach the NFS server of "${name}" at ${host}, port ${port}, for ${seconds} s: ${refusal}`,
      );
    }
    if (!isLogged) log.warn(`nfs: no answer yet from ${host}, port ${port}: ${refusal}`);
    await sleep(NFS_RETRY_MS, undefined, signal && { signal });
  }
}

/** undefined when the connection succeeds, else the reason. */
function probePort(host: string, port: number, signal: AbortSignal | undefined): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal });
    socket.setTimeout(NFS_RETRY_MS * 5, () => socket.destroy(new Error("no answer")));
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (signal?.aborted) reject(signal.reason as Error);
      else resolve(error.code ?? error.message);
    });
  });
}

/** The kernel's error, if any. A mount that hangs cannot be ended; it occupies a thread of the pool. */
async function tryMount(
  { source, data }: NfsMountPlan,
  target: string,
  { isWritable, name, signal }: { isWritable: boolean; name: string; signal?: AbortSignal },
): Promise<KernelError | undefined> {
  const mounting = mountAsync({ type: "nfs", source, target, flags: isWritable ? 0 : MS_RDONLY, data });
  if (!(await settlesWithin(mounting, NFS_MOUNT_MS, signal))) {
    const seconds = NFS_MOUNT_MS / 1000;
    throw new AgentError("NFS_UNREACHABLE", `Cannot mount "${name}": no answer within ${seconds} s`);
  }
  try {
    await mounting;
    return undefined;
  } catch (error) {
    if (isKernelError(error)) return error;
    throw error;
  }
}

function explainRefusals(
  name: string,
  refusals: readonly { version: string; error: KernelError }[],
): AgentError {
  const answers = refusals.map(({ version, error }) => `version ${version}: ${error.code}`).join(", ");
  const codes = new Set(refusals.map(({ error }) => error.code));
  const cause = refusals.at(-1)?.error;
  const message = `Cannot mount "${name}": ${answers}`;
  if (codes.has("EACCES") || codes.has("EPERM") || codes.has("ENOENT"))
    return new AgentError("NFS_REFUSED", message, { cause });
  if (refusals.every(({ error }) => MEANS_UNSUPPORTED.has(error.code)))
    return new AgentError("NFS_UNSUPPORTED", message, { cause });
  return new AgentError("NFS_MOUNT_FAILED", message, { cause });
}

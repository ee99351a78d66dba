/**
 * Decompresses xz with the xz program (XZ Utils or busybox), with bounded memory.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { drained } from "../../archive/decompress.ts";
import { AgentError } from "../../errors.ts";
import { XZ_MAX_MEMORY_BYTES } from "../limits.ts";

export interface XzOptions {
  maxMemoryBytes?: number;
  program?: string;
}

type Xz = ChildProcessByStdio<Writable, Readable, Readable>;

/** Throws ARCHIVE_CORRUPT, ARCHIVE_TRUNCATED, ARCHIVE_LIMIT_EXCEEDED, ROOT_TOOL_FAILED. */
export async function* decompressXz(
  chunks: AsyncIterable<Buffer>,
  { maxMemoryBytes = XZ_MAX_MEMORY_BYTES, program = "xz" }: XzOptions = {},
): AsyncGenerator<Buffer> {
  // By the environment: busybox's xz has no such option.
  const env = { ...process.env, LC_ALL: "C", XZ_DEFAULTS: `--memlimit-decompress=${maxMemoryBytes}` };
  const xz: Xz = spawn(program, ["-dc"], { stdio: ["pipe", "pipe", "pipe"], env });
  const ended = waitForEnd(xz);
  const readMessage = collectText(xz.stderr);
  let sourceError: { error: unknown } | undefined;
  const fed = feed(xz, chunks).catch((error: unknown) => {
    sourceError = { error };
    xz.kill("SIGKILL");
  });
  try {
    for await (const chunk of xz.stdout) yield chunk as Buffer;
  } finally {
    xz.stdout.destroy();
    xz.stdin.destroy();
    if (xz.exitCode === null) xz.kill("SIGTERM");
  }
  const end = await ended;
  // xz may end before the source does.
  if (end.code === 0 && end.signal === null) await fed;
  if (sourceError) throw (sourceError as { error: unknown }).error;
  if (end.code !== 0) throw describeFailure(end, readMessage());
}

async function feed(xz: Xz, chunks: AsyncIterable<Buffer>): Promise<void> {
  // EPIPE: xz has ended, and its exit code says why.
  xz.stdin.on("error", () => {});
  for await (const chunk of chunks) {
    if (xz.stdin.destroyed) return;
    // A copy: the source reuses the memory of the chunk.
    if (!xz.stdin.write(Buffer.from(chunk))) await drained(xz.stdin);
  }
  xz.stdin.end();
}

interface End {
  code: number | null;
  signal: NodeJS.Signals | null;
  error?: Error;
}

function waitForEnd(xz: Xz): Promise<End> {
  return new Promise((resolve) => {
    xz.once("error", (error) => resolve({ code: null, signal: null, error }));
    xz.once("close", (code, signal) => resolve({ code, signal }));
  });
}

function collectText(stderr: Readable): () => string {
  const MAX_CHARACTERS = 1000;
  let text = "";
  stderr.setEncoding("utf8").on("data", (more: string) => {
    text = (text + more).slice(0, MAX_CHARACTERS);
  });
  return () => text.trim().split("\n")[0] ?? "";
}

function describeFailure({ code, signal, error }: End, message: string): AgentError {
  const what = "Cannot decompress xz data";
  if (error) return new AgentError("ROOT_TOOL_FAILED", `${what}: cannot start xz`, { cause: error });
  if (/memory usage limit|memory limit/i.test(message)) {
    return new AgentError("ARCHIVE_LIMIT_EXCEEDED", `${what}: xz says "${message}"`);
  }
  if (/unexpected end|short read/i.test(message))
    return new AgentError("ARCHIVE_TRUNCATED", `${what}: xz says "${message}"`);
  if (code === null) return new AgentError("ROOT_TOOL_FAILED", `${what}: xz was killed by ${signal}`);
  return new AgentError("ARCHIVE_CORRUPT", `${what}: xz says "${message}" (exit code ${code})`);
}

/**
 * Worker thread that compresses one buffer with the zstd that package-lock.json pins, so that any host makes the same bytes.
 * The settings are those the kernel's decoder and a small DUT can bear.
 */
import { parentPort, workerData } from "node:worker_threads";
import zstd from "zstd-napi/binding.js";

/** 32 MiB. The kernel allows 128, but needs memory for the window besides the archive and its content. Costs 1 % of size. */
const WINDOW_LOG = 25;

const { source, level } = workerData as { source: Uint8Array; level: number };
const context = new zstd.CCtx();
context.setParameter(zstd.CParameter.compressionLevel, level);
context.setParameter(zstd.CParameter.windowLog, WINDOW_LOG);
// With it, the kernel notices a damaged archive (and says so in its log).
context.setParameter(zstd.CParameter.checksumFlag, 1);
const target = new Uint8Array(zstd.compressBound(source.length));
const sizeBytes = context.compress2(target, source);
parentPort!.postMessage(target.slice(0, sizeBytes));

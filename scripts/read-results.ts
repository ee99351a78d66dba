/**
 * Reads the results of a boot: the agent's files, and whether every file matches the manifest. Nothing is trusted, and missing or
 * incomplete files are reported instead of causing an error.
 */
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { type JobSummary, summarizeJob } from "../agent/page/job-summary.ts";
import { LOG_TAIL_BYTES, type LogTail, readLogTail } from "../agent/page/log-tail.ts";
import { createFactsReader, type ReportFacts } from "../agent/page/report-facts.ts";
import type { ResultsManifest } from "../agent/wire/results-manifest.ts";
import type { Verdict } from "../agent/wire/verdict.ts";
import { parseVerdict } from "../agent/wire/verdict.ts";
import type { ResultsSource } from "./results-source.ts";

export interface ReadResults {
  facts: ReportFacts;
  verdict?: Verdict;
  job: JobSummary;
  log: LogTail;
  files: CheckedFiles;
  /** Problems with the agent's files. */
  problems: string[];
  hasPage: boolean;
}

export interface CheckedFiles {
  /** Absent where there is no manifest. */
  listed?: number;
  good: number;
  totalBytes: number;
  /** Listed but missing. */
  missing: string[];
  /** The content differs from what was uploaded. */
  changed: string[];
  /** What the DUT could not upload. */
  notUploaded: { name: string; code: string }[];
}

/** The agent's JSON files are smaller. */
const RECORD_MAX_BYTES = 64 * 1024 * 1024;
/** Hides the round trips to a bucket. */
const FILES_AT_A_TIME = 4;

export async function readResults(source: ResultsSource): Promise<ReadResults> {
  const names = await source.list();
  const problems: string[] = [];
  const readJson = async (name: string): Promise<unknown> => {
    if (!names.has(name)) return undefined;
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of await source.read(name)) {
      bytes += chunk.length;
      if (bytes > RECORD_MAX_BYTES) break;
      chunks.push(chunk);
    }
    try {
      return JSON.parse(Buffer.concat(chunks).toString());
    } catch {
      problems.push(`${name} is not valid JSON: it is truncated, or not a file of the agent`);
      return undefined;
    }
  };

  const reader = createFactsReader();
  if (names.has("events.jsonl")) {
    const lines = createInterface({
      input: Readable.from(await source.read("events.jsonl")),
      crlfDelay: Infinity,
    });
    for await (const line of lines) reader.add(line);
  } else problems.push("events.jsonl is missing: phases and times are unknown");
  const { facts } = reader;

  const record = await readJson("verdict.json");
  let verdict = parseVerdict(record);
  if (record !== undefined && !verdict)
    problems.push("verdict.json is not a valid record of this version and is ignored");
  if (verdict && facts.bootId !== undefined && verdict.bootId !== facts.bootId) {
    problems.push(`verdict.json belongs to another boot, ${verdict.bootId}, and is ignored`);
    verdict = undefined;
  }
  // The events were uploaded during this phase; the verdict has its outcome.
  if (verdict)
    facts.phases = facts.phases.filter(({ name, endMs }) => name !== "upload" || endMs !== undefined);
  const partial = await readJson("partial.json");
  if (!verdict) facts.endMs = Math.max(facts.endMs, readUptimeMs(partial));
  return {
    facts,
    verdict,
    job: summarizeJob(await readJson("job.json")),
    log: names.has("dutboot.log") ? await readTail(source) : readLogTail("", { isCut: false }),
    files: await checkFiles(source, names, await readJson("manifest.json")),
    problems,
    hasPage: names.has("report.html"),
  };
}

function readUptimeMs(partial: unknown): number {
  const { uptimeMs } = Object(partial) as { uptimeMs?: unknown };
  return typeof uptimeMs === "number" && Number.isFinite(uptimeMs) ? uptimeMs : 0;
}

async function readTail(source: ResultsSource): Promise<LogTail> {
  let tail = Buffer.alloc(0);
  let isCut = false;
  for await (const chunk of await source.read("dutboot.log")) {
    tail = Buffer.concat([tail, chunk]);
    isCut ||= tail.length > LOG_TAIL_BYTES;
    tail = tail.subarray(-LOG_TAIL_BYTES);
  }
  return readLogTail(tail.toString(), { isCut });
}

async function checkFiles(
  source: ResultsSource,
  names: ReadonlySet<string>,
  value: unknown,
): Promise<CheckedFiles> {
  const checked: CheckedFiles = { good: 0, totalBytes: 0, missing: [], changed: [], notUploaded: [] };
  const manifest = Object(value) as Partial<ResultsManifest>;
  if (!Array.isArray(manifest.files)) return checked;
  checked.listed = manifest.files.length;
  if (Array.isArray(manifest.missing))
    checked.notUploaded = manifest.missing.map((entry: unknown) => {
      const { name, code } = Object(entry) as { name?: unknown; code?: unknown };
      return { name: String(name), code: String(code) };
    });
  const waiting = manifest.files.values() as Iterator<unknown> & Iterable<unknown>;
  const checkNext = async () => {
    for (const entry of waiting) {
      const listed = Object(entry) as Partial<ResultsManifest["files"][number]>;
      const name = String(listed.name);
      if (!names.has(name)) checked.missing.push(name);
      else {
        const { sha256, sizeBytes } = await hashFile(source, name);
        checked.totalBytes += sizeBytes;
        if (sha256 === listed.sha256) checked.good++;
        else checked.changed.push(name);
      }
    }
  };
  await Promise.all(Array.from({ length: FILES_AT_A_TIME }, checkNext));
  return checked;
}

async function hashFile(source: ResultsSource, name: string): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const chunk of await source.read(name)) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { sha256: hash.digest("hex"), sizeBytes };
}

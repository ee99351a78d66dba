/** Journals as a disk gives them back: what is one is read whole, anything else is refused with a reason, whatever wrote it. */
import { describe, expect, it } from "vitest";
import {
  type BootJournal,
  describeDestination,
  formatJournal,
  type JournaledDestination,
  parseJournal,
  resolveDestination,
} from "../../../agent/wire/boot-journal.ts";

const JOURNAL: BootJournal = {
  version: 1,
  bootId: "1a2b3c4d",
  agent: "0.1.0",
  startedAtMs: 1_790_000_000_000,
  uptimeMs: 31_250,
  state: "running",
  phase: "run",
  step: "main-0",
  phases: [{ name: "machine", outcome: "done", durationMs: 1200 }],
  line: "dut.image=busybox dut.cache=auto",
  results: { kind: "s3", url: "https://s3.farm", bucket: "results", prefix: "job/1" },
  deathsBefore: 2,
  isTold: false,
  attempts: 0,
  verdict: null,
};
const NFS: JournaledDestination = { kind: "nfs", server: "nfs.farm", path: "/results/1" };

describe("a journal", () => {
  it.for<Partial<BootJournal>>([
    {},
    { results: null, step: null },
    { results: NFS },
    { results: { kind: "put", url: "https://files.farm/a" } },
    { state: "ended", verdict: { version: 1, bootId: "1a2b3c4d", verdict: "pass", exitCode: 0, phases: [] } },
  ])("comes back as it was: %j", (change) => {
    const { version, ...journal } = { ...JOURNAL, ...change };
    expect(parseJournal(formatJournal(journal))).toEqual({ version, ...journal });
  });

  it.for<[what: string, text: string]>([
    ["nothing", ""],
    ["torn", JSON.stringify(JOURNAL).slice(0, 200)],
    ["a number", "7"],
    ["null", "null"],
    ...Object.entries({
      version: [0, 1.5, "1", undefined],
      bootId: ["../../etc", "1A2B3C4D", "", 12345678, undefined],
      agent: ["a\nb", "x".repeat(20_000), null],
      startedAtMs: [-1, 1.5, "1", 1e300],
      uptimeMs: [null, "31"],
      state: ["dead", null],
      phase: ["\x1b[31mred", 3],
      step: [3, "a\x00b"],
      phases: [
        {},
        null,
        [null],
        [{ name: "run", outcome: "well", durationMs: 1 }],
        Array(100).fill(JOURNAL.phases[0]),
      ],
      line: [["a"], "a\rb"],
      deathsBefore: [-1, {}],
      attempts: ["many"],
      verdict: [{}, { verdict: "pass" }, 1],
      results: [
        "s3://results/1",
        {},
        { ...JOURNAL.results, bucket: "../other" },
        { ...JOURNAL.results, url: "file:///etc/passwd" },
        { ...JOURNAL.results, url: "https://user:password@s3.farm" },
        { ...JOURNAL.results, prefix: "a\nb" },
        { kind: "put", url: "javascript:alert(1)" },
        { ...NFS, path: "relative" },
        { ...NFS, path: "/exports/../etc" },
        { ...NFS, server: "nfs.farm,rw" },
        { ...NFS, kind: "smb" },
      ],
    }).flatMap(([name, values]) =>
      values.map((value): [string, string] => [
        `${name}: ${JSON.stringify(value)?.slice(0, 60)}`,
        JSON.stringify({ ...JOURNAL, [name]: value }),
      ]),
    ),
  ])("is refused: %s", ([, text]) => {
    expect(() => parseJournal(text)).toThrow();
  });

  it("is left alone when a later agent wrote it", () => {
    expect(parseJournal(JSON.stringify({ version: 2, anything: "else" }))).toBe("newer");
  });

  it("brings nothing along that it does not know", () => {
    const text = JSON.stringify({ ...JOURNAL, __proto__: { evil: 1 }, more: "of it" });
    expect(parseJournal(text)).toEqual(JOURNAL);
  });
});

describe("the place of results", () => {
  const S3 = {
    s3: { url: "https://s3.farm", region: "eu" },
    results: { to: { s3: { bucket: "results", prefix: "2" } } },
  };
  const PUT = { results: { to: { put: "https://files.farm/2" } } };
  const OVER_NFS = {
    results: { to: { nfs: { server: "nfs.farm", path: "/results/2", version: "4.2", options: ["ro"] } } },
  };

  it.for([
    { job: S3, place: { kind: "s3", url: "https://s3.farm", bucket: "results", prefix: "2" } },
    { job: PUT, place: { kind: "put", url: "https://files.farm/2" } },
    { job: OVER_NFS, place: { kind: "nfs", server: "nfs.farm", path: "/results/2" } },
    { job: {}, place: null },
    { job: { results: S3.results }, place: null },
    { job: { results: { to: { put: "https://files.farm/2?X-Amz-Signature=abcdef" } } }, place: null },
  ])("is written down without credentials: $place", ({ job, place }) => {
    expect(describeDestination(job)).toEqual(place);
  });

  it.for([
    { place: JOURNAL.results!, job: S3, to: { s3: { bucket: "results", prefix: "job/1" } } },
    { place: JOURNAL.results!, job: { s3: S3.s3 }, to: { s3: { bucket: "results", prefix: "job/1" } } },
    { place: JOURNAL.results!, job: PUT, to: undefined },
    {
      place: { ...JOURNAL.results!, url: "https://evil.example" } as JournaledDestination,
      job: S3,
      to: undefined,
    },
    {
      place: { kind: "put", url: "https://files.farm/1" } as const,
      job: PUT,
      to: { put: "https://files.farm/1" },
    },
    { place: { kind: "put", url: "http://files.farm/1" } as const, job: PUT, to: undefined },
    { place: { kind: "put", url: "https://evil.example/1" } as const, job: PUT, to: undefined },
    { place: NFS, job: OVER_NFS, to: { nfs: { ...OVER_NFS.results.to.nfs, path: "/results/1" } } },
    { place: { ...NFS, server: "evil.example" }, job: OVER_NFS, to: undefined },
    { place: NFS, job: {}, to: undefined },
  ])("is reached by this job's own services, or not at all: $place", ({ place, job, to }) => {
    expect(resolveDestination(place, job)).toEqual(to);
  });
});

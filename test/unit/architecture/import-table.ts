/** The import table of docs/design.md as data: which folder may import which, and which packages each may use. */

export interface Room {
  /** Our own folders or files that may be imported, besides the room itself. */
  imports: readonly string[];
  /** Rooms whose types alone may be named (`import type`). */
  types?: readonly string[];
  /** Node's modules and packages that may be used; absent: any. */
  packages?: readonly string[];
}

const FACTS = ["agent/errors.ts", "agent/error-codes", "agent/limits.ts"] as const;
const PURE = [
  "agent/job",
  "agent/oci",
  "agent/archive",
  "agent/composefs",
  "agent/wire",
  "agent/junit",
  "agent/page",
] as const;
const ADAPTERS = [
  "agent/net",
  "agent/root",
  "agent/store",
  "agent/sys",
  "agent/report",
  "agent/volumes",
] as const;

/** Hashes, compression, streams and text: nothing here reaches the file system, the network, a process or a clock. */
const PURE_PACKAGES = [
  "node:buffer",
  "node:crypto",
  "node:stream",
  "node:stream/promises",
  "node:util",
  "node:zlib",
  "fast-xml-parser",
  "tar-stream",
  "yaml",
  "zstd-napi",
];

export const ROOMS: Readonly<Record<string, Room>> = {
  "agent/errors.ts": { imports: ["agent/error-codes"], packages: [] },
  "agent/error-codes": { imports: [], packages: [] },
  "agent/limits.ts": { imports: [], packages: [] },
  ...Object.fromEntries(
    PURE.map((room) => [room, { imports: [...FACTS, ...PURE], packages: PURE_PACKAGES }]),
  ),
  "agent/kernel": { imports: FACTS },
  ...Object.fromEntries(ADAPTERS.map((room) => [room, { imports: [...FACTS, ...PURE, "agent/kernel"] }])),
  "agent/phases": { imports: [...FACTS, ...PURE], types: ADAPTERS },
  "agent/main.ts": { imports: ["agent"] },
  "agent/wiring": { imports: ["agent"] },
  "agent/paths.ts": { imports: [], packages: [] },
  initrd: { imports: ["agent/archive"] },
  qemu: { imports: ["agent/wire", "agent/errors.ts"] },
  // The network's adapter needs no DUT: `dutboot results` reads from S3 as the DUT writes to it.
  scripts: { imports: ["initrd", "qemu", "agent/net", ...FACTS, ...PURE] },
};

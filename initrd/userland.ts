/**
 * The programs of the image, all from Debian packages: which are taken, and where they go.
 * Packages are unpacked and read; nothing of the target architecture is ever run.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { BuildError } from "./build-error.ts";
import type { DebianArchive, DebianPackage } from "./debian-archive.ts";
import { detachLibrary } from "./detach-library.ts";
import { fileFromHost, fileFromText, type ImageFile, linkTo } from "./image-file.ts";

interface Wanted {
  package: string;
  programs: readonly string[];
  /** Further names: link, and what it points to. */
  links?: Readonly<Record<string, string>>;
}

const BUSYBOX: Wanted = { package: "busybox-static", programs: ["usr/bin/busybox"] };

const TOOLS: readonly Wanted[] = [
  { package: "crun", programs: ["usr/bin/crun"] },
  {
    package: "e2fsprogs",
    programs: ["usr/sbin/mke2fs", "usr/sbin/e2fsck"],
    links: { "usr/sbin/mkfs.ext4": "mke2fs", "usr/sbin/fsck.ext4": "e2fsck" },
  },
  // Debian's busybox has no blkid, and cache devices are found by their labels.
  { package: "util-linux", programs: ["usr/sbin/blkid"] },
  { package: "xz-utils", programs: ["usr/bin/xz"] },
  // Bound into containers that ask for an init, whatever C library they have: static.
  { package: "tini", programs: ["usr/bin/tini-static"] },
];

/** The kernel runs /sbin/modprobe for its own requests. modinfo is busybox's: kmod's would call libcrypto. */
const KMOD_NAMES = ["modprobe", "depmod", "insmod", "rmmod", "lsmod"];
const KMOD: Wanted = {
  package: "kmod",
  programs: ["usr/bin/kmod"],
  links: Object.fromEntries(KMOD_NAMES.map((name) => [`usr/sbin/${name}`, "../bin/kmod"])),
};

/** Where the libraries of Node and its natives come from; those of the tools come as their dependencies. */
const LIBRARY_PACKAGES = ["libc6", "libstdc++6", "libgcc-s1"];
const CERTIFICATES = "ca-certificates";
const CERTIFICATE_BUNDLE = "etc/ssl/certs/ca-certificates.crt";

export interface Userland {
  packages: DebianPackage[];
  /** Needs no library: what /init runs on. */
  busybox: ImageFile[];
  tools: ImageFile[];
  certificates: ImageFile[];
  reused: boolean;
}

export async function readUserland(archive: DebianArchive): Promise<Userland> {
  const wanted = [BUSYBOX.package, ...TOOLS.map((tool) => tool.package), ...LIBRARY_PACKAGES];
  const names = await archive.resolveWithDependencies(wanted);
  // Without dependencies: kmod works without libcrypto, and ca-certificates needs openssl and debconf only for a script.
  const { packages, reused } = await archive.fetch([...names, KMOD.package, CERTIFICATES]);
  const kmod = takePrograms(KMOD, packages).map(withoutCrypto);
  const tools = [...TOOLS.flatMap((tool) => takePrograms(tool, packages)), ...kmod];
  return {
    packages,
    reused,
    busybox: [...takePrograms(BUSYBOX, packages), ...linkApplets(packages, tools)],
    tools,
    certificates: [bundleCertificates(packages)],
  };
}

function findPackage(name: string, packages: readonly DebianPackage[]): DebianPackage {
  const found = packages.find((candidate) => candidate.name === name);
  if (!found) throw new BuildError(`Cannot find the Debian package "${name}" among those fetched`);
  return found;
}

function takePrograms({ package: name, programs, links = {} }: Wanted, packages: readonly DebianPackage[]) {
  const { root, version } = findPackage(name, packages);
  const origin = `${name} ${version}`;
  return [
    ...programs.map((path) => {
      if (!existsSync(join(root, path))) throw new BuildError(`Cannot find "${path}" in ${origin}`);
      return fileFromHost(path, join(root, path), origin, 0o755);
    }),
    ...Object.entries(links).map(([path, target]) => linkTo(path, target, origin)),
  ];
}

function withoutCrypto(file: ImageFile): ImageFile {
  if (file.content.kind !== "bytes") return file;
  return { ...file, content: { kind: "bytes", bytes: detachLibrary(file.content.bytes, "libcrypto.so.3") } };
}

/** One link per busybox applet, except where the image has the full program. */
function linkApplets(packages: readonly DebianPackage[], tools: readonly ImageFile[]): ImageFile[] {
  const { root, version } = findPackage(BUSYBOX.package, packages);
  const real = new Set(tools.map(({ path }) => path.split("/").at(-1)));
  return readAppletNames(readFileSync(join(root, BUSYBOX.programs[0]!)))
    .filter((name) => name !== "busybox" && !real.has(name))
    .map((name) => linkTo(`usr/bin/${name}`, "busybox", `${BUSYBOX.package} ${version}`));
}

/**
 * The applets of a busybox binary, without running it: the sorted table of NUL-terminated names it looks them up in
 * (busybox, include/applet_tables.h).
 */
export function readAppletNames(binary: Buffer): string[] {
  const names: string[] = [];
  let at = binary.indexOf("[\0[[\0acpid\0", 0, "latin1");
  while (at >= 0) {
    const end = binary.indexOf(0, at);
    const name = binary.toString("latin1", at, end);
    if (!/^[!-~]+$/.test(name)) break;
    names.push(name);
    at = end + 1;
  }
  const missing = ["init", "mount", "sh", "sha256sum"].filter((name) => !names.includes(name));
  if (missing.length > 0) throw new BuildError(`Cannot find the applets "${missing.join(", ")}" in busybox`);
  return names;
}

/** What update-ca-certificates would write on a machine with its defaults: every certificate, by name, one after another. */
function bundleCertificates(packages: readonly DebianPackage[]): ImageFile {
  const { root, version } = findPackage(CERTIFICATES, packages);
  const folder = join(root, "usr/share/ca-certificates/mozilla");
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(".crt"))
    .sort();
  const text = names.map((name) => `${readFileSync(join(folder, name), "utf8").trim()}\n`).join("");
  return fileFromText(CERTIFICATE_BUNDLE, text, `${CERTIFICATES} ${version}`);
}

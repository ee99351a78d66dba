/** Archives as programs in daily use write them, with each option that changes the format. */
import { execFileSync, execSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lsetxattr } from "../../../agent/kernel/syscalls.ts";

export interface Archive {
  /** Program and options. */
  name: string;
  tar: Buffer;
  /** With types of members that are not for layers (S, V and D), or with a path twice. */
  isRefusedByPodman: boolean;
}

interface Trees {
  /** What every format can hold. */
  plain: string;
  /** Long names, large owners, odd times, devices, attributes. */
  rich: string;
  /** Holes at the start, in the middle, at the end, everywhere, and more regions than a header holds. */
  sparse: string;
}

function makeTrees(base: string): Trees {
  const trees = { plain: join(base, "plain"), rich: join(base, "rich"), sparse: join(base, "sparse") };
  for (const path of Object.values(trees)) {
    mkdirSync(join(path, "d/empty"), { recursive: true });
    writeFileSync(join(path, "d/block"), "b".repeat(512));
    writeFileSync(join(path, "d/more"), "m".repeat(10_241));
    writeFileSync(join(path, "nothing"), "");
    writeFileSync(join(path, "suid"), "s");
    chownSync(join(path, "suid"), 1000, 1001);
    chmodSync(join(path, "suid"), 0o4711);
    symlinkSync("d/block", join(path, "soft"));
    linkSync(join(path, "d/more"), join(path, "d/more-too"));
    utimesSync(join(path, "nothing"), 1_000_000_000, 1_000_000_000);
  }
  const rich = (name: string) => join(trees.rich, name);
  const long = `${"long-".repeat(12)}/`.repeat(5);
  mkdirSync(rich(long), { recursive: true });
  writeFileSync(rich(`${long}${"name-".repeat(30)}`), "long");
  symlinkSync(`${long}${"name-".repeat(30)}`, rich("long-link"));
  linkSync(rich(`${long}${"name-".repeat(30)}`), rich("long-hard-link"));
  execFileSync("mknod", [rich("null"), "c", "1", "3"]);
  execFileSync("mknod", [rich("disk"), "b", "259", "70000"]);
  execFileSync("mkfifo", [rich("pipe")]);
  writeFileSync(Buffer.from(`${rich("bytes-")}\xff\xfe`, "latin1"), "name of bytes");
  writeFileSync(rich("owner"), "large");
  chownSync(rich("owner"), 3_000_000_000, 4_294_967_294);
  writeFileSync(rich("old"), "before 1970");
  execFileSync("touch", ["-d", "1960-02-03 04:05:06.789 UTC", rich("old")]);
  execFileSync("touch", ["-d", "2300-02-03 04:05:06.123456789 UTC", rich("pipe")]);
  lsetxattr(
    rich("suid"),
    "security.capability",
    Buffer.from("0100000280000000000000000000000000000000", "hex"),
  );
  writeHoles(join(trees.sparse, "start"), 1 << 20, [[1 << 19, 5000]]);
  writeHoles(join(trees.sparse, "end"), 1 << 20, [[0, 5000]]);
  writeHoles(join(trees.sparse, "everywhere"), 3 << 20, []);
  writeHoles(join(trees.sparse, "lastlog"), 292_000, [
    [4096 * 40, 292],
    [4096 * 60, 4096],
  ]);
  const many = Array.from({ length: 60 }, (_, index): [number, number] => [index * 16_384, 1000 + index]);
  writeHoles(join(trees.sparse, "many"), 60 * 16_384, many);
  return trees;
}

function writeHoles(path: string, sizeBytes: number, regions: readonly (readonly [number, number])[]): void {
  const fd = openSync(path, "w");
  ftruncateSync(fd, sizeBytes);
  for (const [at, length] of regions)
    writeSync(fd, Buffer.alloc(length, `${path.at(-1)}${at}`), 0, length, at);
  closeSync(fd);
}

const PYTHON = `
import io, sys, tarfile
tar = tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=getattr(tarfile, sys.argv[1]), errors="surrogateescape")
tar.add(sys.argv[2], arcname=".")
tar.close()
`;

export function writeArchives(): Archive[] {
  const base = mkdtempSync(join(tmpdir(), "dutboot-trees-"));
  try {
    const trees = makeTrees(base);
    const run = (program: string, ...words: string[]) =>
      execFileSync(program, words, { maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "pipe"] });
    const archives: Archive[] = [];
    const add = (name: string, tar: Buffer) => {
      const isRefusedByPodman = /-S .*=(old)?gnu|(-V|--incremental).*=gnu|concatenate/.test(name);
      archives.push({ name, tar, isRefusedByPodman });
    };
    const gnu = (tree: keyof Trees, ...words: string[]) =>
      add(
        `tar ${words.join(" ").replaceAll(base, "")}, ${tree}`,
        run("tar", "-C", trees[tree], "--sort=name", "--numeric-owner", ...words, "-cf", "-", "."),
      );
    for (const format of ["v7", "oldgnu", "gnu", "ustar", "posix"]) gnu("plain", `--format=${format}`);
    for (const format of ["oldgnu", "gnu", "posix"]) gnu("rich", `--format=${format}`);
    for (const format of ["oldgnu", "gnu", "posix"]) gnu("sparse", "-S", `--format=${format}`);
    for (const version of ["0.0", "0.1", "1.0"])
      gnu("sparse", "-S", "--format=posix", `--sparse-version=${version}`);
    gnu("sparse", "-S", "--hole-detection=raw", "--format=gnu");
    gnu("rich", "--xattrs", "--xattrs-include=*", "--format=posix");
    gnu("plain", "-V", "a label", "--format=gnu");
    gnu("plain", "-V", "a label", "--format=posix");
    gnu("plain", "--incremental", "--format=gnu");
    gnu("plain", `--listed-incremental=${join(base, "snapshot")}`, "--format=posix");
    gnu("plain", "--hard-dereference", "--blocking-factor=1");
    gnu("rich", "--format=posix", "--pax-option=exthdr.name=%d/x/%f,delete=atime,delete=ctime");
    gnu("rich", "--format=posix", "--mtime=@1700000000", "--owner=user:70000", "--group=group:70000");
    gnu("plain", "--format=gnu", "--transform=s,^\\./,/,");
    const bsd = (tree: keyof Trees, ...words: string[]) =>
      add(
        `bsdtar ${words.join(" ")}, ${tree}`,
        run("bsdtar", "--numeric-owner", ...words, "-cf", "-", "-C", trees[tree], "."),
      );
    for (const format of ["v7tar", "ustar", "gnutar", "pax"]) bsd("plain", `--format=${format}`);
    for (const format of ["gnutar", "pax"]) bsd("rich", `--format=${format}`);
    for (const format of ["pax", "gnutar"]) bsd("sparse", `--format=${format}`);
    bsd("sparse", "--no-read-sparse", "--format=pax");
    for (const tree of ["plain", "sparse"] as const)
      add(`busybox tar, ${tree}`, run("busybox", "tar", "-C", trees[tree], "-cf", "-", "."));
    for (const format of ["USTAR_FORMAT", "GNU_FORMAT", "PAX_FORMAT"])
      add(`Python's tarfile, ${format}, plain`, run("python3", "-c", PYTHON, format, trees.plain));
    for (const format of ["GNU_FORMAT", "PAX_FORMAT"])
      add(`Python's tarfile, ${format}, rich`, run("python3", "-c", PYTHON, format, trees.rich));
    add("tar --concatenate", concatenate(base, trees));
    return archives;
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

function concatenate(base: string, trees: Trees): Buffer {
  const [one, two] = [join(base, "one.tar"), join(base, "two.tar")];
  execSync(
    `tar -C ${trees.plain} -cf ${one} --exclude=./suid . && tar -C ${trees.plain} -cf ${two} ./d suid && tar -Af ${one} ${two}`,
  );
  return execFileSync("cat", [one], { maxBuffer: 1 << 28 });
}

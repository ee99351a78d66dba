/**
 * Builds the agent's image for an architecture: Debian's programs, the pinned Node, the agent, and a manifest.
 * The same inputs give the same bytes. Only changed parts are compressed again.
 */
import { readFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ARCHITECTURES, type Architecture, type ArchitectureName } from "./architecture.ts";
import { pruneCache } from "./build-cache.ts";
import { BuildError } from "./build-error.ts";
import { readBuildTimeMs } from "./build-time.ts";
import { type BundleOptions, bundleAgent, LIBRARY_FOLDER } from "./bundle.ts";
import { openDebianArchive } from "./debian-archive.ts";
import { readElf } from "./elf.ts";
import {
  fileFromHost,
  fileFromText,
  type ImageFile,
  type ImagePart,
  linkTo,
  toCpioEntries,
} from "./image-file.ts";
import { compressSegment, type Segment, SMALLEST_LEVEL } from "./image-segment.ts";
import { closeLibraries } from "./library-closure.ts";
import { createManifest, formatChecksums } from "./manifest.ts";
import { compileNatives } from "./natives.ts";
import { stripNode } from "./node-runtime.ts";
import { PROJECT_ROOT, readPin } from "./project.ts";
import { slimNode } from "./slim-node.ts";
import { readUserland } from "./userland.ts";

/** The limit of some TFTP loaders. */
export const IMAGE_MAX_BYTES = 32 * 1024 * 1024;

/** Folders that the kernel, init and the agent need. Parents of files are added automatically. */
const FOLDERS = [
  ...["dev", "proc", "sys", "run", "tmp", "mnt", "root", "store", "var", "var/lib", "var/tmp"],
  ...["etc/dutboot/credentials", "usr/lib/modules", "usr/lib/firmware"],
];
/** Debian installs under /usr; the kernel and scripts also use the short paths. */
const SHORT_NAMES = { bin: "usr/bin", sbin: "usr/sbin", lib: "usr/lib", lib64: "usr/lib64" };

export interface BuildInitrdOptions {
  arch: ArchitectureName;
  outDir: string;
  /** Replaces the agent's entry points, for tests. */
  entries?: BundleOptions["entries"];
  /** zstd level; default: the smallest image. The size limit applies only to the default. */
  level?: number;
  onProgress?: (line: string) => void;
}

export interface BuiltInitrd {
  /** Path of initrd.img. */
  image: string;
  sizeBytes: number;
  parts: { name: string; rawBytes: number; sizeBytes: number; reused: boolean }[];
  /** True if every part was reused. */
  reused: boolean;
}

export async function buildInitrd(options: BuildInitrdOptions): Promise<BuiltInitrd> {
  const { arch, outDir, entries, level = SMALLEST_LEVEL, onProgress = () => {} } = options;
  const architecture = ARCHITECTURES[arch];
  onProgress("Debian packages");
  const userland = await readUserland(await openDebianArchive("trixie", architecture));
  onProgress("native modules");
  const natives = await compileNatives(architecture);
  onProgress("the agent's bundle");
  const { version } = JSON.parse(readFileSync(join(PROJECT_ROOT, "package.json"), "utf8")) as {
    version: string;
  };
  const bundle = await bundleAgent(architecture, natives, { version, entries });
  const fullNode = await readNode(architecture);
  const libraries = closeLibraries(
    [...userland.tools, ...bundle.files, fullNode],
    userland.packages,
    architecture,
  );
  const node = slim(fullNode, [...libraries, ...bundle.files]);

  const base = [...userland.busybox, ...userland.certificates, ...baseFiles(version)];
  const agent = [...bundle.files, await buildInfo(architecture, version)];
  const manifested: ImagePart[] = [
    { name: "base", files: base },
    { name: "libraries", files: libraries },
    { name: "tools", files: userland.tools },
    { name: "agent", files: agent },
    { name: "node", files: [node] },
  ];
  const manifest = createManifest(
    architecture.name,
    manifested.flatMap(({ files }) => files),
  );
  agent.push(...manifestFiles(manifest, version));

  onProgress("compressing what changed");
  // The part with init comes first, so that a truncated image can report that it is truncated.
  const segments = await Promise.all(
    manifested.map(({ name, files }) =>
      compressSegment(
        name,
        name === "base" ? toCpioEntries(files, foldersOf(manifested)) : withoutFolders(files),
        level,
      ),
    ),
  );
  const image = Buffer.concat(segments.map(({ bytes }) => bytes));
  if (level === SMALLEST_LEVEL && image.length > IMAGE_MAX_BYTES) {
    throw new BuildError(`Cannot keep the image below ${IMAGE_MAX_BYTES} bytes: it has ${image.length}`);
  }
  await mkdir(outDir, { recursive: true });
  await replaceFile(join(outDir, "initrd.img"), image);
  await replaceFile(join(outDir, "manifest.json"), formatManifest(manifest));
  await pruneCache(["segment", "apt-answer", "debian", "modules", "node-stripped"]);
  for (const { name, text } of bundle.sourceMaps) await replaceFile(join(outDir, name), text);
  return summarize(join(outDir, "initrd.img"), segments);
}

async function readNode(architecture: Architecture): Promise<ImageFile> {
  const { name, version } = readPin(architecture.nodePackage);
  return fileFromHost("usr/bin/node", await stripNode(architecture), `${name} ${version}`, 0o755);
}

/** Strips Node of the symbols that no other object uses. */
function slim(node: ImageFile, others: readonly ImageFile[]): ImageFile {
  const objects = others.flatMap(({ content }) =>
    content.kind === "bytes" && readElf(content.bytes) ? [content] : [],
  );
  if (node.content.kind !== "bytes") throw new BuildError("Cannot slim Node: it is not a file");
  const bytes = slimNode(
    node.content.bytes,
    objects.map((object) => object.bytes),
  );
  return { ...node, content: { kind: "bytes", bytes } };
}

function baseFiles(version: string): ImageFile[] {
  const origin = `dutboot ${version}`;
  const script = (path: string, name: string) =>
    fileFromHost(path, join(PROJECT_ROOT, "initrd/files", name), origin, 0o755);
  return [
    script("init", "init"),
    fileFromHost("etc/inittab", join(PROJECT_ROOT, "initrd/files/inittab"), origin),
    script(`${LIBRARY_FOLDER}/mount-basics`, "mount-basics"),
    script(`${LIBRARY_FOLDER}/end-machine`, "end-machine"),
    script(`${LIBRARY_FOLDER}/common`, "common"),
    ...Object.entries(SHORT_NAMES).map(([name, target]) => linkTo(name, target, origin)),
    fileFromText("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", origin),
    fileFromText("etc/group", "root:x:0:\ntty:x:5:\n", origin),
    fileFromText("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n", origin),
    // The kernel opens /dev/console before anything is mounted.
    { path: "dev/console", origin, mode: 0o600, content: { kind: "char", major: 5, minor: 1 } },
    { path: "dev/null", origin, mode: 0o666, content: { kind: "char", major: 1, minor: 3 } },
  ];
}

async function buildInfo(architecture: Architecture, version: string): Promise<ImageFile> {
  const info = {
    version,
    arch: architecture.name,
    buildTimeMs: await readBuildTimeMs(),
    nodeVersion: readPin(architecture.nodePackage).version,
  };
  return fileFromText(`${LIBRARY_FOLDER}/build.json`, `${JSON.stringify(info)}\n`, `dutboot ${version}`);
}

/** The manifest, its checksums, and the supervisor with the hash of the checksums. */
function manifestFiles(manifest: ReturnType<typeof createManifest>, version: string): ImageFile[] {
  const origin = `dutboot ${version}`;
  const manifestFile = fileFromText(`${LIBRARY_FOLDER}/manifest.json`, formatManifest(manifest), origin);
  const listed = createManifest(manifest.arch, [manifestFile]);
  const checksums = formatChecksums({ ...manifest, files: [...manifest.files, ...listed.files] });
  const checksumFile = fileFromText(`${LIBRARY_FOLDER}/manifest.sha256`, checksums, origin);
  const { sha256 } = createManifest(manifest.arch, [checksumFile]).files[0]!;
  const script = readFileSync(join(PROJECT_ROOT, "initrd/files/supervise-agent"), "utf8");
  const supervisor = script.replace("@MANIFEST_SHA256@", sha256!);
  return [
    manifestFile,
    checksumFile,
    fileFromText(`${LIBRARY_FOLDER}/supervise-agent`, supervisor, origin, 0o755),
  ];
}

function formatManifest(manifest: ReturnType<typeof createManifest>): string {
  return `${JSON.stringify(manifest, undefined, 1)}\n`;
}

function foldersOf(parts: readonly ImagePart[]): string[] {
  const entries = parts
    .flatMap(({ files }) => toCpioEntries(files))
    .filter(({ type }) => type === "directory");
  return [...new Set([...FOLDERS, ...entries.map(({ path }) => path)])];
}

/** The first part contains all folders. */
function withoutFolders(files: readonly ImageFile[]) {
  return toCpioEntries(files).filter(({ type }) => type !== "directory");
}

async function replaceFile(path: string, content: string | Buffer): Promise<void> {
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, content);
  await rename(draft, path);
}

function summarize(image: string, segments: readonly Segment[]): BuiltInitrd {
  return {
    image,
    sizeBytes: segments.reduce((sum, { bytes }) => sum + bytes.length, 0),
    parts: segments.map(({ name, rawBytes, bytes, reused }) => ({
      name,
      rawBytes,
      sizeBytes: bytes.length,
      reused,
    })),
    reused: segments.every(({ reused }) => reused),
  };
}

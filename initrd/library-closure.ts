/**
 * Finds the shared libraries of a set of programs by reading ELF files, in unpacked Debian packages.
 * The list is computed: a new dependency is either in the packages or a clear error.
 */
import { existsSync, realpathSync } from "node:fs";
import { join, posix, relative } from "node:path";
import type { Architecture } from "./architecture.ts";
import { BuildError } from "./build-error.ts";
import type { DebianPackage } from "./debian-archive.ts";
import { readElf } from "./elf.ts";
import { fileFromHost, type ImageFile, linkTo } from "./image-file.ts";

/** Returns the libraries that `programs` need, and the link to the dynamic loader. */
export function closeLibraries(
  programs: readonly ImageFile[],
  packages: readonly DebianPackage[],
  architecture: Architecture,
): ImageFile[] {
  const found = new Map<string, ImageFile>();
  const queue = [...programs];
  for (let program = queue.shift(); program; program = queue.shift()) {
    const facts = program.content.kind === "bytes" ? readElf(program.content.bytes) : undefined;
    if (!facts) continue;
    if (facts.machine !== architecture.elfMachine) {
      throw new BuildError(
        `Cannot put "${program.path}" into an ${architecture.name} image: e_machine ${facts.machine}`,
      );
    }
    const wanted = [...facts.needed];
    if (facts.interpreter) wanted.push(posix.basename(facts.interpreter));
    for (const name of wanted) {
      if (found.has(name)) continue;
      const library = findLibrary(name, program.path, packages, architecture);
      found.set(name, library);
      queue.push(library);
    }
    if (facts.interpreter) {
      const link = linkLoader(facts.interpreter, found.get(posix.basename(facts.interpreter))!);
      if (link) found.set(link.path, link);
    }
  }
  return [...found.values()];
}

function findLibrary(
  name: string,
  neededBy: string,
  packages: readonly DebianPackage[],
  { triplet }: Architecture,
): ImageFile {
  for (const { name: packageName, version, root } of packages) {
    for (const folder of [`usr/lib/${triplet}`, "usr/lib"]) {
      const candidate = join(root, folder, name);
      if (!existsSync(candidate)) continue;
      const real = realpathSync(candidate);
      if (relative(root, real).startsWith("..")) continue;
      // One file under the name that the loader uses. Debian's other links are for compilers.
      return fileFromHost(`usr/lib/${triplet}/${name}`, real, `${packageName} ${version}`, 0o755);
    }
  }
  throw new BuildError(`Cannot find "${name}", which "${neededBy}" needs: no package of the image has it`);
}

/** Programs use the fixed loader path of their ABI (/lib64/ld-linux-x86-64.so.2), which links to the library. */
function linkLoader(interpreter: string, loader: ImageFile): ImageFile | undefined {
  const path = `usr${interpreter}`;
  return path === loader.path
    ? undefined
    : linkTo(path, posix.relative(posix.dirname(path), loader.path), loader.origin);
}

/**
 * The image of many small files: the shape of a `node_modules` or a Python environment, 110,000 files of 3 KB on average.
 * All bytes come from one seed. In the second version one package has other files.
 */
import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { pack } from "tar-stream";
import type { BenchImage } from "./bench-image.ts";
import { createTextSource, type Random } from "./random-text.ts";

const PACKAGES = 2_200;
const FILES_IN_PACKAGE = 50;
const FILES_IN_FOLDER = 8;
/** Packages that are there in two versions that share most files, as npm installs them. */
const SHARE_OF_COPIES = 0.06;
const CHANGED_PACKAGE = 1_234;
const MTIME = new Date("2025-10-09T00:00:00Z");
/** Log-normal: the median is 1.6 KB, one file in a thousand has more than 60 KB. */
const SIZE_MEDIAN_BYTES = 1_600;
const SIZE_SPREAD = 1.15;
const SIZE_MAX_BYTES = 400_000;

export const smallFilesImage: BenchImage = {
  name: "small-files",
  summary: `${(PACKAGES * FILES_IN_PACKAGE).toLocaleString("en")} small files`,
  recipe: [
    await readFile(import.meta.filename, "utf8"),
    await readFile(join(import.meta.dirname, "random-text.ts"), "utf8"),
  ],
  async makeTars(folder, { signal }) {
    const first = join(folder, "first.tar");
    const second = join(folder, "second.tar");
    await writeTar(first, -1, signal);
    await writeTar(second, CHANGED_PACKAGE, signal);
    return { first, second, change: `one package of ${FILES_IN_PACKAGE} files` };
  },
};

async function writeTar(path: string, changedPackage: number, signal?: AbortSignal): Promise<void> {
  const archive = pack();
  const written = pipeline(archive, createWriteStream(path), { signal });
  const add = (name: string, content?: Buffer) =>
    new Promise<void>((resolve, reject) => {
      const fields = { name, mtime: MTIME, mode: content ? 0o644 : 0o755 };
      const done = (error?: Error | null) => (error ? reject(error) : resolve());
      if (content) archive.entry({ ...fields, size: content.length }, content, done);
      else archive.entry({ ...fields, type: "directory" }, done);
    });
  const fill = async () => {
    await add("srv/");
    await add("srv/app/");
    await add("srv/app/modules/");
    for (let index = 0; index < PACKAGES; index++) await addPackage(index, index === changedPackage, add);
    archive.finalize();
  };
  await Promise.all([fill(), written]);
}

async function addPackage(
  index: number,
  isChanged: boolean,
  add: (name: string, content?: Buffer) => Promise<void>,
): Promise<void> {
  const source = createTextSource(`package ${index}`);
  const isCopy = index > 0 && source.random() < SHARE_OF_COPIES;
  // A copy has most texts of the package before it.
  const texts = createTextSource(isCopy ? `texts ${index - 1}` : `texts ${index}`);
  const base = `srv/app/modules/package-${String(index).padStart(4, "0")}/`;
  await add(base);
  for (let file = 0; file < FILES_IN_PACKAGE; file++) {
    if (file % FILES_IN_FOLDER === 0) await add(`${base}lib-${file / FILES_IN_FOLDER}/`);
    const sizeBytes = drawSize(texts.random);
    const mark = isChanged || (isCopy && file % 5 === 0) ? `changed ${index}\n` : "";
    const content = Buffer.from(mark + texts.write(sizeBytes));
    await add(`${base}lib-${Math.floor(file / FILES_IN_FOLDER)}/part-${file}.js`, content);
  }
}

function drawSize(random: Random): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.min(SIZE_MAX_BYTES, Math.round(SIZE_MEDIAN_BYTES * Math.exp(SIZE_SPREAD * normal)));
}

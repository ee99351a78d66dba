/**
 * Makes of an installed Debian package what a rebuild of it would be: each of its files of some size gets other bytes
 * all over, so that no large piece of the old one is found in the new, and dpkg's lists say another version.
 */
import { createHash } from "node:crypto";
import { lstat, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Compilers lay out code anew: one changed byte in this many is what is needed to have no chunk survive. */
const CHANGE_EVERY_BYTES = 2048;
const SUFFIX = "+rebuilt1";

export interface Rebuilt {
  files: number;
  bytes: number;
}

/** Deterministic: the same package gives the same bytes. */
export async function rebuildPackage(root: string, name: string): Promise<Rebuilt> {
  const info = join(root, "var/lib/dpkg/info");
  const paths = (await readFile(join(info, `${name}.list`), "utf8")).split("\n").filter(Boolean);
  const sums: string[] = [];
  let bytes = 0;
  for (const path of paths) {
    const place = join(root, path);
    const found = await lstat(place).catch(() => undefined);
    if (!found?.isFile()) continue;
    const content = changeContent(await readFile(place));
    await writeFile(place, content);
    bytes += content.length;
    sums.push(`${createHash("md5").update(content).digest("hex")}  ${path.slice(1)}\n`);
  }
  await writeFile(join(info, `${name}.md5sums`), sums.join(""));
  await raiseVersion(join(root, "var/lib/dpkg/status"), name);
  return { files: sums.length, bytes };
}

/** Of texts only the end changes, as a changelog's or a manual's date would. */
function changeContent(content: Buffer): Buffer {
  const isProgram = content.subarray(0, 4).toString("latin1") === "\x7fELF";
  if (!isProgram) return Buffer.concat([content, Buffer.from("\n")]);
  for (let at = CHANGE_EVERY_BYTES / 2; at < content.length; at += CHANGE_EVERY_BYTES) content[at]! ^= 0x5a;
  return content;
}

async function raiseVersion(statusPath: string, name: string): Promise<void> {
  const paragraphs = (await readFile(statusPath, "utf8")).split("\n\n");
  const changed = paragraphs.map((paragraph) =>
    paragraph.startsWith(`Package: ${name}\n`)
      ? paragraph.replace(/^Version: .*$/m, (line) => `${line}${SUFFIX}`)
      : paragraph,
  );
  await writeFile(statusPath, changed.join("\n\n"));
}

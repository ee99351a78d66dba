/**
 * Changes an installed Debian package as a rebuild would: each of its larger files gets other bytes
 * all over, so that the new file has no large piece of the old one, and dpkg's lists get another version.
 */
import { createHash } from "node:crypto";
import { lstat, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Compilers lay out code anew: with one changed byte in this many, no chunk survives. */
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

/** Of texts only the end changes, like the date of a manual. */
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

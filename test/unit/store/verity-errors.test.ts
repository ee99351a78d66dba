/** What the kernel's log says of sealed files. The lines are those of 6.1 and 6.12. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { hasVerityError } from "../../../agent/store/open-store.ts";

const folder = mkdtempSync(join(tmpdir(), "kmsg-"));
afterAll(() => rmSync(folder, { recursive: true }));

it.each([
  { text: "", complains: false },
  { text: "6,1,2,-;EXT4-fs (vda): mounted filesystem\n", complains: false },
  {
    text: "3,9,9,-;fs-verity (vda, inode 14): FILE CORRUPTED! pos=0, level=-1, want_hash=sha256:00, real_hash=sha256:01\n",
    complains: true,
  },
])("$text: $complains", ({ text, complains }) => {
  const path = join(folder, "kmsg");
  writeFileSync(path, text);
  expect(hasVerityError(path)).toBe(complains);
});

it("returns false for a missing log", () => {
  expect(hasVerityError(join(folder, "none"))).toBe(false);
});

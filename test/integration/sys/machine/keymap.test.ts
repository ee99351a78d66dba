import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { loadKeymap } from "../../../../agent/sys/machine/keymap.ts";

const folder = mkdtempSync(join(tmpdir(), "keymaps-"));
mkdirSync(join(folder, "azerty"));
writeFileSync(join(folder, "azerty/fr.kmap"), "no keymap");
afterAll(() => rmSync(folder, { recursive: true }));

const lines: string[] = [];
const tell = (line: string) => void lines.push(line);
const log = { debug: tell, info: tell, warn: tell };

test("finds a keymap in any folder, and reports one that cannot be loaded", async () => {
  const path = join(folder, "azerty/fr.kmap");
  expect(await loadKeymap("fr", { log, folder })).toEqual({ path, isLoaded: false });
  expect(lines.at(-1)).toMatch(/fr\.kmap cannot be loaded: .*loadkmap/);
});

test.each([
  { name: "no such keymap", keymap: "de", where: folder },
  { name: "no keymaps at all", keymap: "fr", where: join(folder, "none") },
])("$name", async ({ keymap, where }) => {
  expect(await loadKeymap(keymap, { log, folder: where })).toEqual({ isLoaded: false });
  expect(lines.at(-1)).toContain(`no keymap "${keymap}.kmap"`);
});

/** The docs name only what exists, and the architecture page lists every folder. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

const ROOT = new URL("../../../", import.meta.url);
const PAGES = readdirSync(new URL("docs", ROOT)).filter((name) => name.endsWith(".md"));
/** Paths from the project's root, in code spans and in text. */
const PATH = /(?<![\w./-])(?:agent|docs|initrd|qemu|scripts|test)\/[\w./-]*\w/g;
const LINK = /\]\(([^)#:]+)(?:#[^)]*)?\)/g;

const read = (page: string) => readFileSync(new URL(`docs/${page}`, ROOT), "utf8");

it.each(PAGES)("docs/%s names only paths that exist", (page) => {
  const text = read(page);
  const paths = [...text.matchAll(PATH)].map(([path]) => path);
  const links = [...text.matchAll(LINK)].map(([, link]) => `docs/${link}`);
  const missing = [...paths, ...links].filter((path) => !existsSync(new URL(path, ROOT)));
  expect([...new Set(missing)]).toEqual([]);
});

it("the architecture page lists every folder of the agent, and no other", () => {
  const listed = [...read("architecture.md").matchAll(/^ {2}(\S+\/) {2,}\S/gm)].map(([, name]) => name);
  const folders = readdirSync(new URL("agent", ROOT), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `${name}/`);
  expect(listed.toSorted()).toEqual(folders.toSorted());
});

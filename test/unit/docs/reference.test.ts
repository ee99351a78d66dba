import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { ERRORS } from "../../../agent/errors.ts";
import { PAGES } from "../../../scripts/write-reference.ts";

const ROOT = new URL("../../../", import.meta.url);

it.each(PAGES)("$path is what `npm run docs` writes", ({ path, text }) => {
  expect(readFileSync(new URL(path, ROOT), "utf8")).toBe(text());
});

it("there is one page per error code, and no other page", () => {
  const pages = readdirSync(new URL("docs/errors", ROOT)).sort();
  expect(pages).toEqual(
    Object.keys(ERRORS)
      .map((code) => `${code}.md`)
      .sort(),
  );
});

it.each(Object.entries(ERRORS))(
  "%s says what it means and what to do, in whole sentences",
  (_code, { means, hint }) => {
    for (const text of [means, hint]) expect(text).toMatch(/^[A-Z`].*[^.\s]$/s);
  },
);

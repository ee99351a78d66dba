import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { formatErrorReference, formatOptionReference } from "../../../scripts/write-reference.ts";

const readPage = (name: string) => readFileSync(new URL(`../../../docs/${name}`, import.meta.url), "utf8");

it("docs/options.md is what `npm run docs` writes", () => {
  expect(readPage("options.md")).toBe(formatOptionReference());
});

it("docs/errors.md is what `npm run docs` writes", () => {
  expect(readPage("errors.md")).toBe(formatErrorReference());
});

/** The committed pages are what the tables say. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { OPTIONS } from "../../../agent/job/dut/options.ts";
import { formatUsage } from "../../../scripts/option-help.ts";
import { PAGES } from "../../../scripts/write-reference.ts";

it.each(PAGES)("$path is current: else run `npm run docs` and commit it", ({ path, text }) => {
  expect(readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8")).toBe(text());
});

it("names every option", () => {
  const page = PAGES.find(({ path }) => path.endsWith("options.md"))!.text();
  for (const option of OPTIONS) expect(page).toContain(`## \`${formatUsage(option)}\``);
});

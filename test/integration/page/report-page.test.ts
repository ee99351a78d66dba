/**
 * `report.html` as a browser shows it: on a phone and on a desk, light and dark. Nothing sticks out, nothing is loaded or run, and what
 * people look for can be seen. DUTBOOT_PICTURES names a folder to keep the pictures in.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatReportPage } from "../../../agent/page/report-page.ts";
import { HOSTILE, SAMPLE_INPUTS } from "../../unit/page/sample-boots.ts";
import { type Browser, startBrowser, type View } from "./browser.ts";

/** Debian's packages are fetched where they are not there yet. */
const INSTALL_LIMIT_MS = 300_000;

const VIEWS: readonly View[] = [
  { width: 360, height: 800, scheme: "light" },
  { width: 360, height: 800, scheme: "dark" },
  { width: 1280, height: 900, scheme: "light" },
  { width: 1280, height: 900, scheme: "dark" },
];

/** What the first window must show, without scrolling. */
const FIRST_SIGHT: Readonly<Record<keyof typeof SAMPLE_INPUTS, readonly string[]>> = {
  pass: ["Pass", "The test ended with exit code 0", "22.7 s"],
  error: ["Error", "FETCH_TIMEOUT", "Cannot fetch"],
  big: ["Fail", "exit code 3"],
};

/** Each found text of the page that lies within the window, and elements that stick out of it. */
const LOOK = `(() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.width > 0 && box.bottom <= innerHeight && box.right <= innerWidth) seen.push(node.data);
  }
  const wide = [...document.querySelectorAll("body *")]
    .filter((element) => !element.closest(".log, svg svg, .hidden, defs") && element.getBoundingClientRect().right > innerWidth + 1)
    .map((element) => element.outerHTML.slice(0, 100));
  return { seen: seen.join(" "), wide, width: document.scrollingElement.scrollWidth, paper: getComputedStyle(document.body).backgroundColor };
})()`;

interface Look {
  seen: string;
  wide: string[];
  width: number;
  paper: string;
}

let folder: string;
let browser: Browser;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dutboot-page-"));
  browser = await startBrowser(folder);
}, INSTALL_LIMIT_MS);
afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true });
});

async function openReport(name: keyof typeof SAMPLE_INPUTS, view: View) {
  const path = join(folder, `${name}.html`);
  await writeFile(path, formatReportPage(SAMPLE_INPUTS[name]));
  return browser.openPage(path, view);
}

describe.each(["pass", "error", "big"] as const)("report of kind %s", (name) => {
  it.each(VIEWS)("fits into $width by $height, $scheme", async (view) => {
    const page = await openReport(name, view);
    const { seen, wide, width, paper } = await page.evaluate<Look>(LOOK);
    expect(width).toBeLessThanOrEqual(view.width);
    expect(wide).toEqual([]);
    for (const text of FIRST_SIGHT[name]) expect(seen).toContain(text);
    // The style sheet is there, and knows the scheme.
    expect(paper).toBe(view.scheme === "light" ? "rgb(245, 246, 248)" : "rgb(15, 18, 23)");
    const pictures = process.env.DUTBOOT_PICTURES;
    if (pictures) {
      await mkdir(pictures, { recursive: true });
      const picture = await page.takePicture({ isWhole: true });
      await writeFile(join(pictures, `${name}-${view.width}-${view.scheme}.png`), picture);
    }
    expect(page.complaints).toEqual([]);
    await page.close();
  });
});

it("shows hostile text without executing it", async () => {
  const page = await openReport("error", VIEWS[0]!);
  const found = await page.evaluate<{ title: string; elements: number; text: string }>(
    `({ title: document.title, elements: document.querySelectorAll("script, img, iframe, [onerror]").length, text: document.body.innerText })`,
  );
  expect(found.elements).toBe(0);
  expect(found.title).toMatch(/^Error: /);
  expect(found.text).toContain(HOSTILE.slice(0, 40));
  await page.close();
});

/** WCAG 2.2, 1.4.3: 4.5 to 1 for text of any size, measured on what stands behind it. */
const CONTRASTS = `(() => {
  const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = parse(getComputedStyle(each).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) && !element.closest("title"))
    .map((element) => {
      const style = getComputedStyle(element);
      const [a, b] = [light(parse(element.closest("svg") ? style.fill : style.color)), light(behind(element))].sort((x, y) => y - x);
      return { text: element.textContent.slice(0, 40), ratio: (a + 0.05) / (b + 0.05) };
    })
    .filter(({ ratio }) => ratio < 4.5);
})()`;

it.each(VIEWS.slice(2))("has enough contrast, $scheme", async (view) => {
  for (const name of ["pass", "error", "big"] as const) {
    const page = await openReport(name, view);
    expect(await page.evaluate(CONTRASTS)).toEqual([]);
    await page.close();
  }
});

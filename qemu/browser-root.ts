/**
 * A headless browser for the tests of report.html: Debian's Chromium in a separate root, because only
 * these tests need it.
 */
import { BASE_PACKAGES, type EnsureToolsOptions, ensureProgramsRoot, type ToolsRoot } from "./tools-root.ts";

/** The program is `chromium-headless-shell`. */
const PACKAGES = ["chromium-headless-shell", "fonts-liberation", "fontconfig-config", ...BASE_PACKAGES];

const FONTS = {
  "system-ui": "Liberation Sans",
  "sans-serif": "Liberation Sans",
  monospace: "Liberation Mono",
};

/** The font aliases that the maintainer scripts would have configured. */
const FONT_SETTINGS = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
${Object.entries(FONTS)
  .map(
    ([kind, font]) =>
      `<alias binding="same"><family>${kind}</family><prefer><family>${font}</family></prefer></alias>`,
  )
  .join("\n")}
</fontconfig>
`;

/** Unpacks the root if it is missing (about 40 s, 600 MB). */
export const ensureBrowserRoot = (options: EnsureToolsOptions): Promise<ToolsRoot> =>
  ensureProgramsRoot("browser", PACKAGES, {
    ...options,
    files: { "etc/fonts/conf.d/50-dutboot.conf": FONT_SETTINGS },
  });

/**
 * A browser without a screen, for the tests of the pages that we make: Debian's Chromium, in an unpacked root of its own, since
 * only these tests need it.
 */
import { BASE_PACKAGES, type EnsureToolsOptions, ensureProgramsRoot, type ToolsRoot } from "./tools-root.ts";

/** Its program is `chromium-headless-shell`; one family of fonts. */
const PACKAGES = ["chromium-headless-shell", "fonts-liberation", "fontconfig-config", ...BASE_PACKAGES];

const FONTS = {
  "system-ui": "Liberation Sans",
  "sans-serif": "Liberation Sans",
  monospace: "Liberation Mono",
};

/** What the maintainer scripts would have set up: which font stands for which kind. */
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

/** Unpacked now if it is missing (some 40 s and 600 MB). */
export const ensureBrowserRoot = (options: EnsureToolsOptions): Promise<ToolsRoot> =>
  ensureProgramsRoot("browser", PACKAGES, {
    ...options,
    files: { "etc/fonts/conf.d/50-dutboot.conf": FONT_SETTINGS },
  });

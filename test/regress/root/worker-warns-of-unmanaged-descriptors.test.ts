/** Workers watch descriptors that Node did not open and warn of each one: 60,000 warnings for a layer, and a tenfold time. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createOverlayDriver } from "../../../agent/root/drivers/overlay.ts";
import { buildTar } from "../../unit/archive/tar-builder.ts";

it("unpacks without a warning", async () => {
  const storeDir = mkdtempSync(join(tmpdir(), "dutboot-warnings-"));
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on("warning", onWarning);
  const tar = buildTar(Array.from({ length: 50 }, (_, i) => ({ path: `d${i % 5}/f${i}`, content: "x" })));
  async function* whole() {
    yield tar;
  }
  try {
    await createOverlayDriver({ storeDir }).addLayer({ open: async () => whole() });
    await new Promise((resolve) => setTimeout(resolve, 50));
  } finally {
    process.off("warning", onWarning);
    rmSync(storeDir, { recursive: true });
  }
  expect(warnings.map(String)).toEqual([]);
});

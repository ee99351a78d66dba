/** Unpacks the archive named by its arguments as the agent would: bundled, this stands in for main.js. */
import { createReadStream } from "node:fs";
import { createOverlayDriver } from "../../../agent/root/drivers/overlay.ts";

const [archivePath, storeDir] = process.argv.slice(2) as [string, string];
void createOverlayDriver({ storeDir })
  .addLayer({ open: async () => createReadStream(archivePath) })
  .then(({ files, bytes }) => console.log(JSON.stringify({ files, bytes })));

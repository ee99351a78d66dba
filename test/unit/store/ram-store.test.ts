/** How large a store in RAM may be: a share of all memory, bounded by what is there beside the agent. */
import { expect, it } from "vitest";
import { planRamStore } from "../../../agent/store/open-store.ts";

const MiB = 1024 * 1024;

it.each([
  { totalMiB: 4000, availableMiB: 3800, storeMiB: 3200, why: "the share" },
  { totalMiB: 970, availableMiB: 780, storeMiB: 652, why: "what is available, less the agent's reserve" },
  { totalMiB: 460, availableMiB: 200, storeMiB: 100, why: "half of what is available on a small board" },
])("$totalMiB MiB: $why", ({ totalMiB, availableMiB, storeMiB }) => {
  expect(planRamStore(totalMiB * MiB, availableMiB * MiB)).toBe(storeMiB * MiB);
});

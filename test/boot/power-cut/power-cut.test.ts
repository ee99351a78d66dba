/** A few reproducible power cuts during a pull. `soak.ts` makes any number of them. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createFarmGuest, type FarmGuest } from "../agent/farm-guest.ts";
import { bootAfterCut, pushCutImages, RECORDINGS, type Recording, recordBoot } from "./recording.ts";

let guest: FarmGuest;
let recording: Recording;

beforeAll(async () => {
  guest = await createFarmGuest();
  await pushCutImages(guest);
  recording = await recordBoot(guest, RECORDINGS[0]!);
});
afterAll(() => guest?.stop());

describe.concurrent("the boot after a power cut", { timeout: 600_000 }, () => {
  it.for([
    { seed: 1, share: 0.35 },
    { seed: 2, share: 0.6 },
    { seed: 3, share: 0.85 },
  ])("at $share of the pull's writes passes", async (cut) => {
    const { line, faults } = await bootAfterCut(guest, recording, cut);
    console.log(line);
    expect(faults).toEqual([]);
  });
});

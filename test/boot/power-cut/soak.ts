/**
 * Cuts the power at random points of recorded pulls and boots after each cut: node test/boot/power-cut/soak.ts [CUTS [SEED]]
 * Exits with 1 if a boot after a cut fails. The recording's name, seed and share reproduce a failure.
 */
import { createRandom } from "../../../qemu/power-cut/plan-cut.ts";
import { createFarmGuest } from "../agent/farm-guest.ts";
import { bootAfterCut, pushCutImages, RECORDINGS, recordBoot } from "./recording.ts";

const [cutsText = "52", seedText = String(Date.now() % 1_000_000)] = process.argv.slice(2);
const cuts = Number(cutsText);
const firstSeed = Number(seedText);
const cutsEach = Math.ceil(cuts / RECORDINGS.length);

const guest = await createFarmGuest();
const tally: string[] = [];
let faulty = 0;
try {
  await pushCutImages(guest);
  for (const [index, kind] of RECORDINGS.entries()) {
    const recording = await recordBoot(guest, kind);
    console.log(`${kind.name}: ${recording.entries.length} writes and flushes recorded`);
    let bad = 0;
    await Promise.all(
      Array.from({ length: cutsEach }, async (_, cut) => {
        const seed = firstSeed + index * cutsEach + cut;
        const share = createRandom(seed * 2 + 1)();
        const { line, faults } = await bootAfterCut(guest, recording, { seed, share }).catch(
          (error: unknown) => ({ line: `seed ${seed}`, faults: [`the cut could not be tried: ${error}`] }),
        );
        if (faults.length > 0) bad += 1;
        console.log(`${faults.length === 0 ? "right" : "WRONG"}: share ${share.toFixed(4)}, ${line}`);
        for (const fault of faults) console.log(`  ${fault}`);
      }),
    );
    faulty += bad;
    tally.push(`${kind.name}: ${cutsEach} cuts, ${bad} wrong`);
  }
} finally {
  await guest.stop();
}
console.log(tally.join("\n"));
console.log(`power cuts: ${cutsEach * RECORDINGS.length}, seeds from ${firstSeed}, wrong: ${faulty}`);
process.exitCode = faulty === 0 ? 0 : 1;

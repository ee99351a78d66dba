/** Boots a guest that never ends, for tests that stop it. Prints its folder and exits with the boot's code. */
import { catchInterrupts } from "../../../scripts/interrupt.ts";
import { createTinyGuest } from "./tiny-guest.ts";

const guest = await createTinyGuest(process.argv[2]!);
console.log(guest.folder);
const { exitCode } = await guest.boot("while :; do echo still here; sleep 1; done\n", {
  signal: catchInterrupts(),
});
await guest.remove();
process.exitCode = exitCode;

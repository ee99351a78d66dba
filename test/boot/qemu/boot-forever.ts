/** A program that boots a guest without end, for tests that stop it: prints its folder, exits with the boot's code. */
import { catchInterrupts } from "../../../scripts/interrupt.ts";
import { createTinyGuest } from "./tiny-guest.ts";

const guest = await createTinyGuest(process.argv[2]!);
console.log(guest.folder);
const { exitCode } = await guest.boot("while :; do echo still here; sleep 1; done\n", {
  signal: catchInterrupts(),
});
await guest.remove();
process.exitCode = exitCode;

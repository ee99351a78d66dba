/** What the allocator holds of memory that was freed (sys.c). */
import { openDoor } from "./syscall.ts";

/** Gives it back to the kernel, which takes some milliseconds. */
export function trimMemory(): void {
  openDoor().trimMemory();
}

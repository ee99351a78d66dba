/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { KiB } from "../units.ts";

export const BOOT_TEXT_MAX_LENGTH = 16 * KiB;
export const PHASES_MAX = 32;

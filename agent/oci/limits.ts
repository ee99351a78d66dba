/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */

/** overlayfs takes 500 lower layers at most; Docker itself stops at 127. */
export const IMAGE_MAX_LAYERS = 500;

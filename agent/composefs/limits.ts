/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */

/** Files up to this size are part of the image instead of an object, as in composefs-rs. */
export const INLINE_FILE_MAX_BYTES = 64;
export const SYMLINK_MAX_BYTES = 4095;
export const INLINE_CONTENT_MAX_BYTES = 5000;
export const XATTR_NAME_MAX_BYTES = 255;

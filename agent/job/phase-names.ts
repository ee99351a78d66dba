/**
 * The phases of a boot by name, in their fixed order: the unit of timing, limits and errors.
 */
export const PHASE_NAMES = ["machine", "fetch", "assemble", "artifact", "run", "upload", "end"] as const;
export type PhaseName = (typeof PHASE_NAMES)[number];

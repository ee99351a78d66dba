/**
 * Selects the manifest of an index for a machine by operating system, architecture and variant.
 * OCI image-spec, image-index.md; variants are ordered as in containerd's `platforms` package.
 */
import { AgentError } from "../errors.ts";

export interface Platform {
  os: string;
  /** GOARCH: `amd64`, `arm64`, `arm`, … */
  architecture: string;
  /** `v8` of arm64, `v7` of arm, `v3` of amd64. */
  variant?: string;
}

export interface PlatformChoice<Descriptor> {
  descriptor: Descriptor;
  platform?: Platform;
}

const DEFAULT_VARIANT: Readonly<Record<string, string>> = { arm64: "v8", arm: "v7", amd64: "v1" };

/**
 * The entry with the highest variant that the machine `wanted` can run; of equal ones the first, as specified. Where none fits,
 * the first entry without a platform.
 * Throws IMAGE_NO_PLATFORM with a list of the available platforms.
 */
export function selectPlatform<Descriptor>(
  choices: readonly PlatformChoice<Descriptor>[],
  wanted: Platform,
  imageName: string,
): Descriptor {
  let best: { rank: number; descriptor: Descriptor } | undefined;
  for (const { descriptor, platform } of choices) {
    const rank = platform ? rankPlatform(platform, wanted) : undefined;
    if (rank !== undefined && (!best || rank > best.rank)) best = { rank, descriptor };
  }
  if (best) return best.descriptor;
  const unnamed = choices.find(({ platform }) => !platform || formatPlatform(platform) === "");
  if (unnamed) return unnamed.descriptor;
  const offered = choices.flatMap(({ platform }) => (platform ? [formatPlatform(platform)] : []));
  throw new AgentError(
    "IMAGE_NO_PLATFORM",
    `Cannot use image "${imageName}" on ${formatPlatform(wanted)}: it is available for ${offered.join(", ") || "no platform"}`,
  );
}

/** Whether an image made for `offered` runs on `wanted`. */
export function fitsPlatform(offered: Platform, wanted: Platform): boolean {
  return rankPlatform(offered, wanted) !== undefined;
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter(Boolean).join("/");
}

/** The variant's number; undefined if the machine cannot run it. */
function rankPlatform(offered: Platform, wanted: Platform): number | undefined {
  if (offered.os !== wanted.os || offered.architecture !== wanted.architecture) return undefined;
  const offeredVariant = variantNumber(offered);
  const wantedVariant = variantNumber(wanted);
  // Variants without a number must be equal; none are known.
  if (offeredVariant === undefined || wantedVariant === undefined) {
    return offered.variant === wanted.variant ? 0 : undefined;
  }
  return offeredVariant <= wantedVariant ? offeredVariant : undefined;
}

function variantNumber({ architecture, variant }: Platform): number | undefined {
  const name = variant || DEFAULT_VARIANT[architecture] || "v0";
  const match = /^v?(\d+)(?:\.(\d+))?$/.exec(name);
  return match ? Number(match[1]) + Number(match[2] ?? 0) / 100 : undefined;
}

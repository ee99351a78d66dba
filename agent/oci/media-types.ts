/**
 * The media types we read, OCI and Docker v2 schema 2, and what each stands for.
 * OCI image-spec, media-types.md; everything that is not listed here is refused by name.
 */

export const INDEX_MEDIA_TYPES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
] as const;

export const MANIFEST_MEDIA_TYPES = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
] as const;

export const CONFIG_MEDIA_TYPES = [
  "application/vnd.oci.image.config.v1+json",
  "application/vnd.docker.container.image.v1+json",
] as const;

/** The compression in the name is a hint only: what unpacks a layer looks at its first bytes. */
export const LAYER_MEDIA_TYPES = [
  "application/vnd.oci.image.layer.v1.tar",
  "application/vnd.oci.image.layer.v1.tar+gzip",
  "application/vnd.oci.image.layer.v1.tar+zstd",
  "application/vnd.docker.image.rootfs.diff.tar",
  "application/vnd.docker.image.rootfs.diff.tar.gzip",
  // Written by Docker and BuildKit for zstd layers of v2s2 images, though no specification has it.
  "application/vnd.docker.image.rootfs.diff.tar.zstd",
] as const;

/** What a registry is asked for: without this header old registries fall back to schema 1. */
export const MANIFEST_ACCEPT = [...INDEX_MEDIA_TYPES, ...MANIFEST_MEDIA_TYPES].join(", ");

/** `Application/JSON; charset=utf-8` → `application/json`. */
export function parseMediaType(header: string | undefined): string | undefined {
  const type = header?.split(";", 1)[0]?.trim().toLowerCase();
  return type || undefined;
}

export function isOneOf<Known extends string>(known: readonly Known[], value: string): value is Known {
  return (known as readonly string[]).includes(value);
}

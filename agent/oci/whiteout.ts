/**
 * Whiteouts: names that begin with ".wh." hide files of lower layers.
 * OCI image-spec, layer.md, "Whiteouts" and "Opaque Whiteout"; other names with ".wh..wh." belong to aufs.
 */
import { AgentError } from "../errors.ts";

const PREFIX = ".wh.";
const META_PREFIX = ".wh..wh.";
const OPAQUE = ".wh..wh..opq";

export type LayerName =
  /** An ordinary member. */
  | { kind: "entry" }
  /** Hides `hidden` of the lower layers, in the same directory. */
  | { kind: "whiteout"; hidden: string }
  /** Hides everything that lower layers have in the same directory, but nothing of this layer. */
  | { kind: "opaque" }
  /** Left over from aufs. */
  | { kind: "ignored" };

const ENTRY: LayerName = { kind: "entry" };

/** Throws ARCHIVE_BAD_MEMBER for a whiteout of "", "." or "..", and for members below a whiteout. */
export function readLayerName(parts: readonly string[]): LayerName {
  const parents = parts.slice(0, -1);
  if (parents.some((part) => part.startsWith(META_PREFIX))) return { kind: "ignored" };
  if (parents.some((part) => part.startsWith(PREFIX)))
    throw createMemberError(parts, "its directory is a whiteout");
  const name = parts.at(-1) ?? "";
  if (!name.startsWith(PREFIX)) return ENTRY;
  if (name === OPAQUE) return { kind: "opaque" };
  if (name.startsWith(META_PREFIX)) return { kind: "ignored" };
  const hidden = name.slice(PREFIX.length);
  if (hidden === "" || hidden === "." || hidden === "..")
    throw createMemberError(parts, `it would hide "${hidden}"`);
  return { kind: "whiteout", hidden };
}

function createMemberError(parts: readonly string[], reason: string): AgentError {
  return new AgentError("ARCHIVE_BAD_MEMBER", `Cannot apply "${parts.join("/")}" of a layer: ${reason}`);
}

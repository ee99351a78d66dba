/**
 * The rule by which a layer takes files of lower layers away: names that begin with ".wh.".
 * OCI image-spec, layer.md, "Whiteouts" and "Opaque Whiteout"; the ".wh..wh." names besides that one are aufs's own.
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
  /** Hides all that lower layers have in the same directory; what this layer puts there stays, before and after. */
  | { kind: "opaque" }
  /** Left over from aufs, means nothing to anyone else. */
  | { kind: "ignored" };

const ENTRY: LayerName = { kind: "entry" };

/**
 * What the parts of a member's path ask for. Throws ARCHIVE_BAD_MEMBER for a whiteout of nothing, "." or "..",
 * and for members below a whiteout.
 */
export function readLayerName(parts: readonly string[]): LayerName {
  const parents = parts.slice(0, -1);
  if (parents.some((part) => part.startsWith(META_PREFIX))) return { kind: "ignored" };
  if (parents.some((part) => part.startsWith(PREFIX))) throw bad(parts, "its directory is a whiteout");
  const name = parts.at(-1) ?? "";
  if (!name.startsWith(PREFIX)) return ENTRY;
  if (name === OPAQUE) return { kind: "opaque" };
  if (name.startsWith(META_PREFIX)) return { kind: "ignored" };
  const hidden = name.slice(PREFIX.length);
  if (hidden === "" || hidden === "." || hidden === "..") throw bad(parts, `it would hide "${hidden}"`);
  return { kind: "whiteout", hidden };
}

function bad(parts: readonly string[], why: string): AgentError {
  return new AgentError("ARCHIVE_BAD_MEMBER", `Cannot apply "${parts.join("/")}" of a layer: ${why}`);
}

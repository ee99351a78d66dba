/**
 * Image references: `[docker://]host[:port]/name[:tag][@digest]`, with the grammar of distribution/reference.
 * The host is mandatory: there is no default registry on the Internet.
 */
import { AgentError } from "../errors.ts";
import { parseDigest } from "./digest.ts";

const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^\w[\w.-]{0,127}$/;
const HOST = /^(?:\[[0-9a-fA-F:]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::[0-9]{1,5})?$/;
const NAME_MAX_LENGTH = 255;

/** A registry whose API is on another host, and whose images with a single name are below `library/`. */
const DOCKER_HUB = { names: ["docker.io", "index.docker.io"], apiHost: "registry-1.docker.io" };

/** Throws IMAGE_BAD_REFERENCE; the tag is `latest` when neither tag nor digest is given. */
export function parseImageReference(text: string): ImageReference {
  const refuse = (reason: string, hint?: string): never => {
    throw new AgentError("IMAGE_BAD_REFERENCE", `Cannot read image reference "${text}": ${reason}`, { hint });
  };
  const plain = text.replace(/^docker:\/\//, "");
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(plain)) refuse("the only supported prefix is docker://");

  const [beforeDigest = "", digest, ...rest] = plain.split("@");
  if (rest.length > 0) refuse('more than one "@"');
  if (digest !== undefined && !parseDigest(digest)) {
    refuse(`"${digest}" is not a digest: it must be sha256: and 64 lower-case hex digits`);
  }

  const slash = beforeDigest.indexOf("/");
  const registry = beforeDigest.slice(0, Math.max(slash, 0));
  if (slash < 0 || !looksLikeHost(registry)) {
    refuse(
      "it names no registry host",
      `Write the host (with a dot, a port, or "localhost") first: HOST/${beforeDigest || "NAME"}`,
    );
  }
  const port = /:(\d+)$/.exec(registry)?.[1];
  if (!HOST.test(registry) || (port && (Number(port) < 1 || Number(port) > 65535))) {
    refuse(`"${registry}" is not a host`);
  }

  const path = beforeDigest.slice(slash + 1);
  const colon = path.indexOf(":");
  const name = colon < 0 ? path : path.slice(0, colon);
  const tag = colon < 0 ? undefined : path.slice(colon + 1);
  if (!NAME.test(name))
    refuse(`"${name}" is not an image name: it must be lower-case words separated by single slashes`);
  if (name.length > NAME_MAX_LENGTH) refuse(`its name is longer than ${NAME_MAX_LENGTH} characters`);
  if (tag !== undefined && !TAG.test(tag)) refuse(`"${tag}" is not a tag`);

  const isHub = DOCKER_HUB.names.includes(registry.toLowerCase());
  return {
    registry: isHub ? DOCKER_HUB.names[0]! : registry.toLowerCase(),
    repository: isHub && !name.includes("/") ? `library/${name}` : name,
    ...(tag !== undefined ? { tag } : digest === undefined && { tag: "latest" }),
    digest,
  };
}

export function formatImageReference({ registry, repository, tag, digest }: ImageReference): string {
  return `${registry}/${repository}${tag ? `:${tag}` : ""}${digest ? `@${digest}` : ""}`;
}

/** `host` or `host:port` of the registry's HTTP API. */
export function registryApiHost(registry: string): string {
  return DOCKER_HUB.names.includes(registry) ? DOCKER_HUB.apiHost : registry;
}

/** As in Docker: the word before the first slash is a host only if it has a dot or a port, or is "localhost". */
function looksLikeHost(word: string): boolean {
  return /[.:]/.test(word) || word.toLowerCase() === "localhost";
}

/** Normalized; it has a tag, a digest, or both. */
export interface ImageReference {
  /** `host` or `host:port`. */
  registry: string;
  /** The path without the registry. */
  repository: string;
  tag?: string;
  /** `sha256:<64 hex>`; if present, the tag is ignored. */
  digest?: string;
}

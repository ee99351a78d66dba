/**
 * The registry client: a reference becomes a verified manifest and config, a layer's descriptor becomes its bytes.
 * OCI distribution-spec, "Pull". Manifests and configs are checked here; a layer's digest by whoever reads it.
 */
import { AgentError } from "../../errors.ts";
import { computeDigest, parseDigest } from "../../oci/digest.ts";
import {
  type Descriptor,
  type ImageConfig,
  type ImageIndex,
  type ImageManifest,
  pairLayers,
  parseImageConfig,
  parseManifest,
  type ResolvedImage,
} from "../../oci/image.ts";
import { MANIFEST_ACCEPT, parseMediaType } from "../../oci/media-types.ts";
import { fitsPlatform, formatPlatform, type Platform, selectPlatform } from "../../oci/platform.ts";
import type { ImageReference } from "../../oci/reference.ts";
import { formatImageReference } from "../../oci/reference.ts";
import type { Failure } from "../http/failure.ts";
import { fetchWhole } from "../http/fetch-whole.ts";
import type { ByteRange, ErrorAnswer, Headers, HttpClient } from "../http/http-message.ts";
import { IMAGE_CONFIG_MAX_BYTES, MANIFEST_MAX_BYTES } from "../limits.ts";
import {
  createRangeHabits,
  createRangeReader,
  type RangeHabits,
  type RangeReader,
} from "../ranges/fetch-ranges.ts";
import { failover } from "./blob-failover.ts";
import { createRegistryHosts, type RegistryHostsOptions, type RegistryPlace } from "./mirrors.ts";

export type { ResolvedImage } from "../../oci/image.ts";

export interface RegistryClient {
  /** Throws IMAGE_*, REGISTRY_*, HTTP_* and FETCH_* errors. */
  resolveImage(
    reference: ImageReference,
    platform: Platform,
    options?: { signal?: AbortSignal },
  ): Promise<ResolvedImage>;
  /** The blob's bytes or a range of them (both ends inclusive); the reader checks the digest. */
  openBlob(
    reference: ImageReference,
    descriptor: { digest: string; sizeBytes?: number },
    options?: { range?: ByteRange; signal?: AbortSignal },
  ): Promise<AsyncIterable<Buffer>>;
  /** The blob in parts; the reader checks what they hold. */
  openRanges(reference: ImageReference, descriptor: { digest: string }): RangeReader;
}

export function createRegistryClient(http: HttpClient, options: RegistryHostsOptions): RegistryClient {
  const hosts = createRegistryHosts(http, options);
  const rangeHabits = new Map<string, RangeHabits>();

  async function fetchManifest(
    reference: ImageReference,
    target: { digest?: string; tag?: string; sizeBytes?: number },
    signal: AbortSignal | undefined,
  ): Promise<{ document: ImageIndex | ImageManifest; digest: string }> {
    const name = formatImageReference(reference);
    const fetchFrom = async ({ base, authorize, request }: RegistryPlace, headers: Headers) => {
      const { response, bytes } = await fetchWhole(http, `${base}/manifests/${target.digest ?? target.tag}`, {
        ...request,
        authorize,
        headers: { accept: MANIFEST_ACCEPT, ...headers },
        maxBytes: MANIFEST_MAX_BYTES,
        subject: `fetch the manifest of image "${name}"`,
        explainError: (answer) => explainRegistryError(answer, "IMAGE_NOT_FOUND"),
        signal,
      });
      const sentDigest = response.headers["docker-content-digest"];
      const digest = requireDigest(bytes, target.digest ?? sentDigest, `manifest of image "${name}"`);
      if (sentDigest !== undefined) requireDigest(bytes, sentDigest, `manifest of image "${name}"`);
      requireSize(bytes.length, target.sizeBytes, `manifest of image "${name}"`);
      return {
        document: parseManifest(bytes, parseMediaType(response.headers["content-type"]), name),
        digest,
      };
    };
    return hosts.atFirst(reference, { signal }, (place) => twice((headers) => fetchFrom(place, headers)));
  }

  async function fetchConfig(
    reference: ImageReference,
    { digest, sizeBytes }: Descriptor,
    signal: AbortSignal | undefined,
  ): Promise<ImageConfig> {
    const name = formatImageReference(reference);
    const what = `config of image "${name}"`;
    const fetchFrom = async ({ base, authorize, request }: RegistryPlace, headers: Headers) => {
      const { bytes } = await fetchWhole(http, `${base}/blobs/${digest}`, {
        ...request,
        authorize,
        headers,
        hasDigest: true,
        maxBytes: IMAGE_CONFIG_MAX_BYTES,
        subject: `fetch the ${what}`,
        explainError: (answer) => explainRegistryError(answer, "REGISTRY_BLOB_MISSING"),
        signal,
      });
      requireDigest(bytes, digest, what);
      requireSize(bytes.length, sizeBytes, what);
      return parseImageConfig(bytes, name);
    };
    return hosts.atFirst(reference, { signal }, (place) => twice((headers) => fetchFrom(place, headers)));
  }

  return {
    async resolveImage(reference, platform, { signal } = {}) {
      const name = formatImageReference(reference);
      let { document, digest } = await fetchManifest(reference, reference, signal);
      if (document.kind === "index") {
        const chosen = selectPlatform(document.manifests, platform, name);
        ({ document, digest } = await fetchManifest(reference, chosen, signal));
      }
      if (document.kind === "index") {
        throw new AgentError(
          "IMAGE_BAD_MANIFEST",
          `Cannot use image "${name}": its index leads to another index`,
        );
      }
      const config = await fetchConfig(reference, document.config, signal);
      if (!fitsPlatform(config, platform)) {
        throw new AgentError(
          "IMAGE_NO_PLATFORM",
          `Cannot use image "${name}" on ${formatPlatform(platform)}: it is made for ${formatPlatform(config)}`,
        );
      }
      return { reference, manifestDigest: digest, config, layers: pairLayers(document, config, name) };
    },

    async openBlob(reference, { digest, sizeBytes }, { range, signal } = {}) {
      const what = `blob "${digest}" of image "${formatImageReference(reference)}"`;
      const openAt = async ({ base, authorize, request }: RegistryPlace, wanted: ByteRange | undefined) => {
        const response = await http.fetch(`${base}/blobs/${digest}`, {
          ...request,
          authorize,
          hasDigest: true,
          subject: `fetch ${what}`,
          explainError: (answer) => explainRegistryError(answer, "REGISTRY_BLOB_MISSING"),
          ...(sizeBytes !== undefined && { maxBytes: sizeBytes, overrunCode: "IMAGE_SIZE_MISMATCH" }),
          range: wanted,
          signal,
        });
        if (!wanted && response.sizeBytes !== undefined) {
          try {
            requireSize(response.sizeBytes, sizeBytes, what);
          } catch (error) {
            response.discard();
            throw error;
          }
        }
        return response.body;
      };
      const openFrom = (from: number, wanted: ByteRange | undefined) =>
        hosts.atFirst(reference, { signal, from }, async (place, index) => ({
          body: await openAt(place, wanted),
          index,
        }));
      const first = await openFrom(0, range);
      const last = hosts.count(reference) - 1;
      return first.index === last ? first.body : failover(first, { last, range, signal, openFrom });
    },

    openRanges(reference, { digest }) {
      const habits = rangeHabits.get(reference.registry) ?? createRangeHabits();
      rangeHabits.set(reference.registry, habits);
      return createRangeReader(
        (fields, explainRefusal) =>
          hosts.atFirst(reference, { signal: fields.signal }, ({ base, authorize, request }) =>
            http.fetch(`${base}/blobs/${digest}`, {
              ...request,
              authorize,
              hasDigest: true,
              subject: `fetch parts of blob "${digest}" of image "${formatImageReference(reference)}"`,
              explainError: (answer) =>
                explainRefusal(answer) ?? explainRegistryError(answer, "REGISTRY_BLOB_MISSING"),
              ...fields,
            }),
          ),
        { habits },
      );
    },
  };
}

/** A second look, past the caching proxy that may have damaged the first; the second answer counts. */
async function twice<Result>(act: (headers: Headers) => Promise<Result>): Promise<Result> {
  try {
    return await act({});
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== "IMAGE_DIGEST_MISMATCH") throw error;
    return act({ "cache-control": "no-cache" });
  }
}

/** The digest of `bytes` by the algorithm of the expected one. */
function requireDigest(bytes: Buffer, expected: string | undefined, what: string): string {
  const algorithm = parseDigest(expected ?? "")?.algorithm ?? "sha256";
  const digest = computeDigest(bytes, algorithm);
  if (expected === undefined || digest === expected) return digest;
  const page = /^\s*<(!doctype|html)/i.test(bytes.subarray(0, 256).toString("latin1"))
    ? ", an HTML page"
    : "";
  throw new AgentError(
    "IMAGE_DIGEST_MISMATCH",
    `Cannot trust the ${what}: expected "${expected}", got "${digest}"${page}`,
  );
}

function requireSize(sizeBytes: number, expectedBytes: number | undefined, what: string): void {
  if (expectedBytes === undefined || sizeBytes === expectedBytes) return;
  throw new AgentError(
    "IMAGE_SIZE_MISMATCH",
    `Cannot trust the ${what}: expected ${expectedBytes} bytes, got ${sizeBytes}`,
  );
}

function explainRegistryError(
  { status, body }: ErrorAnswer,
  missing: "IMAGE_NOT_FOUND" | "REGISTRY_BLOB_MISSING",
): Partial<Failure> | undefined {
  const cameBack = `status ${status}${quoteRegistryError(body)}`;
  if (status === 404) return { code: missing, cameBack };
  if (status === 401) return { code: "REGISTRY_UNAUTHORIZED", cameBack };
  if (status === 403) return { code: "REGISTRY_DENIED", cameBack };
  return { cameBack };
}

/** `{"errors": [{"code": "NAME_UNKNOWN", …}]}`: the code only, messages may hold anything. */
function quoteRegistryError(body: Buffer): string {
  const code = /"code"\s*:\s*"([A-Z_]{1,40})"/.exec(body.toString("latin1"))?.[1];
  return code ? ` (${code})` : "";
}

/**
 * The registry client: resolves a reference to a verified manifest and config, and opens the layers' blobs.
 * OCI distribution-spec, "Pull". The digests of manifests and configs are checked here, those of layers by their readers.
 */
import type { ByteRange } from "../../archive/byte-range.ts";
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
import { formatImageReference, type ImageReference } from "../../oci/reference.ts";
import type { Failure } from "../http/failure.ts";
import {
  type ErrorResponse,
  fetchBytes,
  type Headers,
  type HttpClient,
  type HttpRequest,
} from "../http/http-message.ts";
import { IMAGE_CONFIG_MAX_BYTES, MANIFEST_MAX_BYTES } from "../limits.ts";
import {
  createRangeReader,
  createRangeSupport,
  type RangeReader,
  type RangeSupport,
} from "../ranges/fetch-ranges.ts";
import { createRegistryHosts, type RegistryHostsOptions, type RegistryRepository } from "./mirrors.ts";

export type { ResolvedImage } from "../../oci/image.ts";

export interface RegistryClient {
  /** Throws IMAGE_*, REGISTRY_*, HTTP_* and FETCH_* errors. */
  resolveImage(
    reference: ImageReference,
    platform: Platform,
    options?: { signal?: AbortSignal },
  ): Promise<ResolvedImage>;
  /** Opens a blob or a range of it; the reader checks the digest. */
  openBlob(
    reference: ImageReference,
    descriptor: { digest: string; sizeBytes?: number },
    options?: { range?: ByteRange; signal?: AbortSignal },
  ): Promise<AsyncIterable<Buffer>>;
  /** Reads ranges of a blob; the reader checks their content. */
  openRanges(reference: ImageReference, descriptor: { digest: string }): RangeReader;
}

export function createRegistryClient(http: HttpClient, options: RegistryHostsOptions): RegistryClient {
  const hosts = createRegistryHosts(http, options);
  const rangeSupport = new Map<string, RangeSupport>();

  /** Fetches a document and parses it; a second time, past a caching proxy, when its digest is wrong. */
  async function fetchDocument<Parsed>(
    reference: ImageReference,
    path: string,
    request: Omit<HttpRequest, "headers"> & { maxBytes: number; headers?: Headers },
    parse: (bytes: Buffer, headers: Headers) => Parsed,
  ): Promise<Parsed> {
    return hosts.failover(reference, { signal: request.signal }, async ({ base, authorize, retry }) => {
      const attempt = async (headers: Headers) => {
        const response = await fetchBytes(http, `${base}/${path}`, {
          ...request,
          authorize,
          retry,
          headers: { ...request.headers, ...headers },
        });
        return parse(response.bytes, response.headers);
      };
      try {
        return await attempt({});
      } catch (error) {
        if (!(error instanceof AgentError) || error.code !== "IMAGE_DIGEST_MISMATCH") throw error;
        return attempt({ "cache-control": "no-cache" });
      }
    });
  }

  function fetchManifest(
    reference: ImageReference,
    target: { digest?: string; tag?: string; sizeBytes?: number },
    signal: AbortSignal | undefined,
  ): Promise<{ document: ImageIndex | ImageManifest; digest: string }> {
    const name = formatImageReference(reference);
    const subject = `manifest of image "${name}"`;
    const request = {
      headers: { accept: MANIFEST_ACCEPT },
      maxBytes: MANIFEST_MAX_BYTES,
      subject: `fetch the ${subject}`,
      explainError: (response: ErrorResponse) => explainRegistryError(response, "IMAGE_NOT_FOUND"),
      signal,
    };
    return fetchDocument(reference, `manifests/${target.digest ?? target.tag}`, request, (bytes, headers) => {
      const sentDigest = headers["docker-content-digest"];
      const digest = requireDigest(bytes, target.digest ?? sentDigest, subject);
      if (sentDigest !== undefined) requireDigest(bytes, sentDigest, subject);
      requireSize(bytes.length, target.sizeBytes, subject);
      const document = parseManifest(bytes, parseMediaType(headers["content-type"]), name);
      return { document, digest };
    });
  }

  function fetchConfig(
    reference: ImageReference,
    { digest, sizeBytes }: Descriptor,
    signal: AbortSignal | undefined,
  ): Promise<ImageConfig> {
    const name = formatImageReference(reference);
    const subject = `config of image "${name}"`;
    const request = {
      ...describeBlobRequest(`fetch the ${subject}`),
      maxBytes: IMAGE_CONFIG_MAX_BYTES,
      signal,
    };
    return fetchDocument(reference, `blobs/${digest}`, request, (bytes) => {
      requireDigest(bytes, digest, subject);
      requireSize(bytes.length, sizeBytes, subject);
      return parseImageConfig(bytes, name);
    });
  }

  return {
    async resolveImage(reference, platform, { signal } = {}) {
      const name = formatImageReference(reference);
      let { document, digest } = await fetchManifest(reference, reference, signal);
      if (document.kind === "index") {
        const chosen = selectPlatform(document.manifests, platform, name);
        ({ document, digest } = await fetchManifest(reference, chosen, signal));
      }
      if (document.kind === "index")
        throw new AgentError("IMAGE_BAD_MANIFEST", `Cannot use image "${name}": its index contains an index`);
      const config = await fetchConfig(reference, document.config, signal);
      if (!fitsPlatform(config, platform)) {
        throw new AgentError(
          "IMAGE_NO_PLATFORM",
          `Cannot use image "${name}" on ${formatPlatform(platform)}: it is for ${formatPlatform(config)}`,
        );
      }
      return { reference, manifestDigest: digest, config, layers: pairLayers(document, config, name) };
    },

    async openBlob(reference, { digest, sizeBytes }, { range, signal } = {}) {
      const subject = `blob "${digest}" of image "${formatImageReference(reference)}"`;
      const request: HttpRequest = { ...describeBlobRequest(`fetch ${subject}`), signal };
      if (sizeBytes !== undefined) {
        request.maxBytes = sizeBytes;
        request.overrunCode = "IMAGE_SIZE_MISMATCH";
      }
      const openAt = async (
        { base, authorize, retry }: RegistryRepository,
        index: number,
        wanted: ByteRange | undefined,
      ): Promise<OpenBlob> => {
        const url = `${base}/blobs/${digest}`;
        const response = await http.fetch(url, { ...request, authorize, retry, range: wanted });
        try {
          if (!wanted) requireSize(response.sizeBytes ?? sizeBytes, sizeBytes, subject);
        } catch (error) {
          response.discard();
          throw error;
        }
        return { body: response.body, index };
      };
      const openFrom = (from: number, wanted: ByteRange | undefined) =>
        hosts.failover(reference, { signal, from }, (repository, index) => openAt(repository, index, wanted));
      const first = await openFrom(0, range);
      const last = hosts.count(reference) - 1;
      return first.index === last ? first.body : continueElsewhere(first, { last, range, signal, openFrom });
    },

    openRanges(reference, { digest }) {
      const support = rangeSupport.get(reference.registry) ?? createRangeSupport();
      rangeSupport.set(reference.registry, support);
      const subject = `fetch parts of blob "${digest}" of image "${formatImageReference(reference)}"`;
      const request = describeBlobRequest(subject);
      return createRangeReader(
        (fields, explainRefusal) =>
          hosts.failover(reference, { signal: fields.signal }, ({ base, authorize, retry }) =>
            http.fetch(`${base}/blobs/${digest}`, {
              ...request,
              authorize,
              retry,
              explainError: (response) => explainRefusal(response) ?? request.explainError(response),
              ...fields,
            }),
          ),
        { support },
      );
    },
  };
}

/** The fields of every request for a blob. */
function describeBlobRequest(subject: string) {
  return {
    hasDigest: true,
    subject,
    explainError: (response: ErrorResponse) => explainRegistryError(response, "REGISTRY_BLOB_MISSING"),
  };
}

interface OpenBlob {
  body: AsyncIterable<Buffer>;
  /** Of the host that sends it. */
  index: number;
}

/**
 * Reads a blob and, when a mirror fails on the way, continues at the next host. The reader checks the digest of the whole
 * blob, so it does not matter which host sent which part. `last` is the index of the last host.
 */
async function* continueElsewhere(
  { body, index }: OpenBlob,
  options: {
    last: number;
    range: ByteRange | undefined;
    signal: AbortSignal | undefined;
    openFrom(from: number, wanted: ByteRange | undefined): Promise<OpenBlob>;
  },
): AsyncGenerator<Buffer> {
  const { last, range, signal, openFrom } = options;
  const end = range?.end ?? Number.POSITIVE_INFINITY;
  let start = range?.start ?? 0;
  for (;;) {
    try {
      for await (const chunk of body) {
        yield chunk;
        start += chunk.length;
      }
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (index === last || !(error instanceof AgentError)) throw error;
      if (start >= end) return;
      const isWhole = start === 0 && range === undefined;
      ({ body, index } = await openFrom(index + 1, isWhole ? undefined : { start, end }));
    }
  }
}

/** Returns the digest of `bytes`, computed with the algorithm of the expected one. */
function requireDigest(bytes: Buffer, expected: string | undefined, subject: string): string {
  const algorithm = parseDigest(expected ?? "")?.algorithm ?? "sha256";
  const digest = computeDigest(bytes, algorithm);
  if (expected === undefined || digest === expected) return digest;
  const isPage = /^\s*<(!doctype|html)/i.test(bytes.subarray(0, 256).toString("latin1"));
  throw new AgentError(
    "IMAGE_DIGEST_MISMATCH",
    `Cannot trust the ${subject}: expected "${expected}", got "${digest}"${isPage ? ", an HTML page" : ""}`,
  );
}

function requireSize(
  sizeBytes: number | undefined,
  expectedBytes: number | undefined,
  subject: string,
): void {
  if (expectedBytes === undefined || sizeBytes === expectedBytes) return;
  throw new AgentError(
    "IMAGE_SIZE_MISMATCH",
    `Cannot trust the ${subject}: expected ${expectedBytes} bytes, got ${sizeBytes}`,
  );
}

function explainRegistryError(
  { status, body }: ErrorResponse,
  missing: "IMAGE_NOT_FOUND" | "REGISTRY_BLOB_MISSING",
): Partial<Failure> | undefined {
  const reason = `status ${status}${quoteRegistryError(body)}`;
  if (status === 404) return { code: missing, reason };
  if (status === 401) return { code: "REGISTRY_UNAUTHORIZED", reason };
  if (status === 403) return { code: "REGISTRY_DENIED", reason };
  return { reason };
}

/** `{"errors": [{"code": "NAME_UNKNOWN", …}]}`: the code only, because messages may contain anything. */
function quoteRegistryError(body: Buffer): string {
  const code = /"code"\s*:\s*"([A-Z_]{1,40})"/.exec(body.toString("latin1"))?.[1];
  return code ? ` (${code})` : "";
}

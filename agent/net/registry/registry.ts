/**
 * The registry client: resolves a reference to a verified manifest and config, and opens the layers' blobs.
 * OCI distribution-spec, "Pull". The digests of manifests and configs are checked here, those of layers by their readers.
 */
import type { ByteRange, RangeReader } from "../../archive/byte-range.ts";
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
import { createRangeReader, type RangeSupport } from "../ranges/fetch-ranges.ts";
import { type HostPosition, RegistryHosts, type RegistryHostsOptions } from "./mirrors.ts";

export type { ResolvedImage } from "../../oci/image.ts";

/** Methods throw IMAGE_*, REGISTRY_*, HTTP_* and FETCH_* errors. */
export class RegistryClient {
  readonly #http: HttpClient;
  readonly #hosts: RegistryHosts;
  readonly #rangeSupport = new Map<string, RangeSupport>();

  constructor(http: HttpClient, options: RegistryHostsOptions) {
    this.#http = http;
    this.#hosts = new RegistryHosts(http, options);
  }

  async resolveImage(
    reference: ImageReference,
    platform: Platform,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<ResolvedImage> {
    const name = formatImageReference(reference);
    let { document, digest } = await this.#fetchManifest(reference, reference, signal);
    if (document.kind === "index") {
      const chosen = selectPlatform(document.manifests, platform, name);
      ({ document, digest } = await this.#fetchManifest(reference, chosen, signal));
    }
    if (document.kind === "index")
      throw new AgentError("IMAGE_BAD_MANIFEST", `Cannot use image "${name}": its index contains an index`);
    const config = await this.#fetchConfig(reference, document.config, signal);
    if (!fitsPlatform(config, platform)) {
      const reason = `it is for ${formatPlatform(config)}`;
      const message = `Cannot use image "${name}" on ${formatPlatform(platform)}: ${reason}`;
      throw new AgentError("IMAGE_NO_PLATFORM", message);
    }
    return { reference, manifestDigest: digest, config, layers: pairLayers(document, config, name) };
  }

  /** Opens a blob or a range of it; the reader checks the digest. */
  async openBlob(
    reference: ImageReference,
    { digest, sizeBytes }: { digest: string; sizeBytes?: number },
    { range, signal }: { range?: ByteRange; signal?: AbortSignal } = {},
  ): Promise<AsyncIterable<Buffer>> {
    const subject = `blob "${digest}" of image "${formatImageReference(reference)}"`;
    const request: HttpRequest = { ...describeBlobRequest(`fetch ${subject}`), signal };
    if (sizeBytes !== undefined) {
      request.maxBytes = sizeBytes;
      request.overrunCode = "IMAGE_SIZE_MISMATCH";
    }
    const openFrom = (from: number, wanted: ByteRange | undefined): Promise<OpenBlob> =>
      this.#hosts.failover(reference, { signal, from }, async ({ base, authorize, retry }, host) => {
        const url = `${base}/blobs/${digest}`;
        const response = await this.#http.fetch(url, { ...request, authorize, retry, range: wanted });
        try {
          if (!wanted) requireSize(response.sizeBytes ?? sizeBytes, sizeBytes, subject);
        } catch (error) {
          response.discard();
          throw error;
        }
        return { body: response.body, host };
      });
    const first = await openFrom(0, range);
    return first.host.isLast ? first.body : continueElsewhere(first, { range, signal, openFrom });
  }

  /** Reads ranges of a blob; the reader checks their content. */
  openRanges(reference: ImageReference, { digest }: { digest: string }): RangeReader {
    const unknown = { maxRanges: Number.POSITIVE_INFINITY };
    const support = this.#rangeSupport.get(reference.registry) ?? unknown;
    this.#rangeSupport.set(reference.registry, support);
    const subject = `fetch parts of blob "${digest}" of image "${formatImageReference(reference)}"`;
    const request = describeBlobRequest(subject);
    return createRangeReader(
      (fields, explainRefusal) =>
        this.#hosts.failover(reference, { signal: fields.signal }, ({ base, authorize, retry }) =>
          this.#http.fetch(`${base}/blobs/${digest}`, {
            ...request,
            authorize,
            retry,
            explainError: (response) => explainRefusal(response) ?? request.explainError(response),
            ...fields,
          }),
        ),
      support,
    );
  }

  #fetchManifest(
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
    const path = `manifests/${target.digest ?? target.tag}`;
    return this.#fetchDocument(reference, path, request, (bytes, headers) => {
      const sentDigest = headers["docker-content-digest"];
      const digest = requireDigest(bytes, target.digest ?? sentDigest, subject);
      if (sentDigest !== undefined) requireDigest(bytes, sentDigest, subject);
      requireSize(bytes.length, target.sizeBytes, subject);
      const document = parseManifest(bytes, parseMediaType(headers["content-type"]), name);
      return { document, digest };
    });
  }

  #fetchConfig(
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
    return this.#fetchDocument(reference, `blobs/${digest}`, request, (bytes) => {
      requireDigest(bytes, digest, subject);
      requireSize(bytes.length, sizeBytes, subject);
      return parseImageConfig(bytes, name);
    });
  }

  /** Fetches and parses a document; when its digest is wrong once more, past the proxy that may have a damaged copy. */
  #fetchDocument<Parsed>(
    reference: ImageReference,
    path: string,
    request: HttpRequest & { maxBytes: number },
    parse: (bytes: Buffer, headers: Headers) => Parsed,
  ): Promise<Parsed> {
    return this.#hosts.failover(reference, request, async ({ base, authorize, retry }) => {
      const attempt = async (extra: Headers) => {
        const headers = { ...request.headers, ...extra };
        const response = await fetchBytes(this.#http, `${base}/${path}`, {
          ...request,
          authorize,
          retry,
          headers,
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
  host: HostPosition;
}

/**
 * Reads a blob and, when a mirror fails on the way, continues at the next host. The reader checks the digest of the whole
 * blob, so it does not matter which host sent which part.
 */
async function* continueElsewhere(
  { body, host }: OpenBlob,
  options: {
    range: ByteRange | undefined;
    signal: AbortSignal | undefined;
    openFrom(from: number, wanted: ByteRange | undefined): Promise<OpenBlob>;
  },
): AsyncGenerator<Buffer> {
  const { range, signal, openFrom } = options;
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
      if (host.isLast || !(error instanceof AgentError)) throw error;
      if (start >= end) return;
      const isWhole = start === 0 && range === undefined;
      ({ body, host } = await openFrom(host.index + 1, isWhole ? undefined : { start, end }));
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

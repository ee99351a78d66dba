/**
 * The registry client: resolves a reference to a verified manifest and config, and opens the layers' blobs.
 * OCI distribution-spec, "Pull". The digests of manifests and configs are checked here, those of layers by their readers.
 */
import type { ByteRange, RangeReader } from "../../archive/byte-range.ts";
import { AgentError } from "../../errors.ts";
import { computeDigest, parseDigest } from "../../oci/digest.ts";
import {
  type Descriptor,
  type ImageIndex,
  type ImageManifest,
  type ParsedImageConfig,
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

/** An index may name indexes (podman follows them too). */
const INDEX_MAX_DEPTH = 4;

export type { ResolvedImage } from "../../oci/image.ts";

/** Methods throw IMAGE_*, REGISTRY_*, HTTP_* and FETCH_* errors. */
export class RegistryClient {
  readonly #http: HttpClient;
  readonly #hosts: RegistryHosts;
  readonly #log: RegistryHostsOptions["log"];
  readonly #rangeSupport = new Map<string, RangeSupport>();
  /** By digest: the first host that served bytes of the blob, and the first host that may serve it. */
  readonly #servedBy = new Map<string, HostPosition>();
  readonly #firstHost = new Map<string, number>();

  constructor(http: HttpClient, options: RegistryHostsOptions) {
    this.#http = http;
    this.#log = options.log;
    this.#hosts = new RegistryHosts(http, options);
  }

  async resolveImage(
    reference: ImageReference,
    platform: Platform,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<ResolvedImage> {
    const name = formatImageReference(reference);
    let { document, digest } = await this.#fetchManifest(reference, reference, signal);
    let isNamed = false;
    for (let depth = 0; document.kind === "index"; depth++) {
      if (depth === INDEX_MAX_DEPTH) {
        const message = `Cannot use image "${name}": its index nests more than ${INDEX_MAX_DEPTH} indexes`;
        throw new AgentError("IMAGE_BAD_MANIFEST", message);
      }
      const chosen = selectPlatform(document.manifests, platform, name);
      isNamed = document.manifests.some(
        ({ descriptor, platform: named }) => descriptor === chosen && named && fitsPlatform(named, platform),
      );
      ({ document, digest } = await this.#fetchManifest(reference, chosen, signal));
    }
    const { warnings, ...config } = await this.#fetchConfig(reference, document.config, signal);
    for (const warning of warnings) this.#log?.warn(`fetch: ${name}: ${warning}`);
    if (!fitsPlatform(config, platform)) {
      const made = formatPlatform(config);
      // Builders write their own machine into the config of an image that they made for another; an index that names ours knows better.
      if (made !== "" && !isNamed) {
        const message = `Cannot use image "${name}" on ${formatPlatform(platform)}: it is for ${made}`;
        throw new AgentError("IMAGE_NO_PLATFORM", message);
      }
      const said = made === "" ? "names no platform" : `says ${made}`;
      this.#log?.warn(`fetch: ${name}: its config ${said}; it is used on ${formatPlatform(platform)}`);
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
        const { index = host.index + 1 } = this.#servedBy.get(digest) ?? {};
        if (host.index < index) this.#servedBy.set(digest, host);
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
    const first = await openFrom(this.#firstHost.get(digest) ?? 0, range);
    return first.host.isLast ? first.body : continueElsewhere(first, { range, signal, openFrom });
  }

  /** After a blob had wrong bytes: leaves the mirror that served it out, and returns whether another host remains. */
  rejectBlob({ digest }: { digest: string }): boolean {
    const host = this.#servedBy.get(digest);
    if (host === undefined || host.isLast) return false;
    this.#servedBy.delete(digest);
    this.#firstHost.set(digest, host.index + 1);
    this.#log?.warn(`fetch: the mirror ${host.name} served wrong bytes of ${digest}, trying the next host`);
    return true;
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
        this.#hosts.failover(
          reference,
          { signal: fields.signal, from: this.#firstHost.get(digest) },
          ({ base, authorize, retry }) =>
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
      const sentDigest = headers["docker-content-digest"] || undefined;
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
  ): Promise<ParsedImageConfig> {
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

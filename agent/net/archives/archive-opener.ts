/**
 * Opens archives by URL: over HTTP(S), from the job's S3 service, from an NFS server, or in the initrd.
 */
import { closeSync, openSync } from "node:fs";
import { AgentError } from "../../errors.ts";
import type { HttpClient } from "../http/http-message.ts";
import { createRangeReader } from "../ranges/fetch-ranges.ts";
import type { S3Client } from "../s3/client.ts";
import type { S3Object } from "../s3/request.ts";
import { createFileArchive, type OpenSource, type RemoteArchive } from "./file-archive.ts";

/**
 * `url` is `http(s)://…`, `s3://BUCKET/KEY`, `nfs://SERVER/EXPORT/FILE` or `file:///PATH`; nothing is requested yet.
 * `isVerified`: every byte is checked against a digest of the job, so plain HTTP is safe from any host.
 */
export type ArchiveOpener = (url: string, options?: { isVerified?: boolean }) => RemoteArchive;

/** Opens files of NFS servers: `url` is `nfs://SERVER/EXPORT/FILE`. */
export type OpenNfsFile = (url: string, options: { signal?: AbortSignal }) => Promise<OpenSource>;

export function createArchiveOpener(
  http: HttpClient,
  s3?: S3Client,
  openNfsFile?: OpenNfsFile,
): ArchiveOpener {
  return (url, { isVerified = false } = {}) => {
    if (url.startsWith("nfs:")) {
      if (!openNfsFile)
        throw new AgentError("SOURCE_UNKNOWN", `Cannot fetch "${url}": NFS is not available here`);
      return createFileArchive(url, (options) => openNfsFile(url, options));
    }
    if (url.startsWith("file:")) return createFileArchive(url, async () => openFile(url));
    const object = parseS3Url(url);
    if (!object) {
      const allowsPlainHttp = isVerified;
      return {
        open: (options) =>
          http.fetch(url, { allowsPlainHttp: isVerified || options?.hasDigest === true, ...options }),
        parts: createRangeReader((fields, explainRefusal) =>
          http.fetch(url, { hasDigest: true, allowsPlainHttp, explainError: explainRefusal, ...fields }),
        ),
      };
    }
    if (!s3)
      throw new AgentError(
        "CMDLINE_MISSING_OPTION",
        `Cannot fetch "${url}": the job configures no S3 service`,
      );
    return {
      open: (options) => s3.getObject(object, options),
      parts: createRangeReader((fields, explainRefusal) =>
        s3.getObject(object, { hasDigest: true, explainRefusal, ...fields }),
      ),
    };
  };
}

function openFile(url: string): OpenSource {
  // Not percent-encoded, unlike the URL of a server.
  const path = url.replace(/^file:(\/\/)?/, "");
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new AgentError("SOURCE_NOT_FOUND", `Cannot open "${path}" in the initrd: ${code}`, { cause });
  }
  let isOpen = true;
  return {
    fd,
    close() {
      if (isOpen) closeSync(fd);
      isOpen = false;
    },
  };
}

function parseS3Url(url: string): S3Object | undefined {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(url) ?? [];
  return bucket !== undefined && key !== undefined ? { bucket, key } : undefined;
}

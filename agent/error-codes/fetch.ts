/** Error codes of fetching: HTTP, registries and their images, S3. */
import { defineErrors } from "./definition.ts";

export const FETCH_ERRORS = defineErrors({
  IMAGE_STORE_INVALID: {
    means:
      "The image store that the job names is not mounted, or is not an overlay store of containers/storage",
    blame: "config",
    hint: "Fill the store with podman's overlay driver and export its root, which contains overlay-images and overlay-layers",
  },
  FETCH_BAD_URL: {
    means: "A URL is invalid, or its scheme is not supported",
    blame: "job",
    hint: "Give an http:// or https:// URL without a user name or password",
  },
  FETCH_INSECURE_REFUSED: {
    means:
      "Plain HTTP or an untrusted certificate was refused, because neither a digest nor dut.insecure allows it",
    blame: "job",
    hint: "Use https://, or name the host in dut.insecure",
  },
  FETCH_TLS_UNTRUSTED: {
    means: "The server's certificate is signed by an unknown authority, or issued for another name",
    blame: "config",
    hint: "Give the farm's CA as the credential ca.pem, or name the host in dut.insecure",
  },
  FETCH_TLS_CLOCK: {
    means: "The server's certificate is not valid at the time of the DUT's clock",
    blame: "infra",
    hint: "Compare the DUT's clock with the certificate's dates: offer NTP by DHCP, or renew the certificate",
  },
  FETCH_TLS_FAILED: {
    means: "The TLS handshake failed for a reason other than the certificate",
    blame: "infra",
    hint: "Check that the port speaks TLS; a plain HTTP server needs http://",
  },
  FETCH_UNREACHABLE: {
    means:
      "No connection to the server: its name does not resolve, it refuses the connection, or it does not respond",
    blame: "infra",
    hint: "Check the host name, the server, and the DUT's link and name servers",
  },
  FETCH_STALLED: {
    means: "The server sent nothing for too long, and retrying did not help",
    blame: "infra",
    hint: "Check the DUT's link and the server's load",
  },
  FETCH_TOO_SLOW: {
    means: "The server sent less than the minimum speed, and retrying did not help",
    blame: "infra",
    hint: "Check the DUT's link and the server's load",
  },
  FETCH_INTERRUPTED: {
    means: "The connection was lost during the transfer, again and again",
    blame: "infra",
    hint: "Check the server's log, and at any proxy between it and the DUT",
  },
  FETCH_CHANGED: {
    means: "The file changed on the server during the download",
    blame: "infra",
    hint: "Run the job again: the file was replaced during the download",
  },
  FETCH_WRONG_RANGE: {
    means: "The server returned a range other than the requested one",
    blame: "infra",
    hint: "Repair the server, or the proxy in front of it: it handles ranges incorrectly",
  },
  FETCH_NO_RANGES: {
    means: "The server does not support ranges; where possible the agent fetches the whole file",
    blame: "infra",
    hint: "Use a server that supports Range requests",
  },
  FETCH_TOO_MANY_RANGES: {
    means:
      "The server does not accept as many ranges in one request; the agent then requests fewer at a time",
    blame: "infra",
    hint: "Let the server accept request headers of 4 KiB",
  },
  FETCH_BAD_RESPONSE: {
    means: "Invalid HTTP response",
    blame: "infra",
    hint: "Check that host and port are those of an HTTP server",
  },
  FETCH_REDIRECT_REFUSED: {
    means: "A redirect was not followed: there were too many, or its host or scheme is not allowed",
    blame: "infra",
    hint: "Use the URL that the redirect leads to, if it is trustworthy",
  },
  FETCH_TOO_LARGE: {
    means: "The response is larger than the limit for its kind",
    blame: "job",
    hint: "Check that the URL is the right one",
  },
  HTTP_UNAUTHORIZED: {
    means: "The server responded with status 401: it requires credentials, or rejects those it got",
    blame: "config",
    hint: "Give the DUT credentials for this host",
  },
  HTTP_FORBIDDEN: {
    means: "The server responded with status 403",
    blame: "config",
    hint: "The server knows the credentials but denies access: ask its owner",
  },
  HTTP_NOT_FOUND: {
    means: "The server responded with status 404 or 410",
    blame: "job",
    hint: "Correct the URL, or create the file again: it may have expired",
  },
  HTTP_REJECTED: {
    means: "The server rejected the request with another status",
    blame: "job",
    hint: "Check the URL: the server does not accept this request",
  },
  HTTP_SERVER_ERROR: {
    means: "The server failed, and retrying did not help",
    blame: "infra",
    hint: "Check the log of the server, and of any proxy between it and the DUT",
  },
  HTTP_UNEXPECTED_PAGE: {
    means:
      "The server sent a web page instead of the file: a login, a captive portal, an error page of a proxy",
    blame: "infra",
    hint: "Check the proxy, the portal and the URL",
  },
  IMAGE_BAD_REFERENCE: {
    means: "An image reference is invalid",
    blame: "job",
    hint: "Write HOST[:PORT]/NAME[:TAG][@DIGEST]",
  },
  IMAGE_NOT_FOUND: {
    means: "The registry or the image store has no such image",
    blame: "job",
    hint: "Check name and tag; the registry may also have deleted an expired image",
  },
  IMAGE_NO_PLATFORM: {
    means: "The image is not built for this machine's architecture",
    blame: "job",
    hint: "Build and push the image for this machine's architecture",
  },
  IMAGE_BAD_MANIFEST: {
    means: "The image's manifest or index is invalid",
    blame: "job",
    hint: "Push the image again with a current tool",
  },
  IMAGE_BAD_CONFIG: {
    means: "The image's config is invalid",
    blame: "job",
    hint: "Push the image again with a current tool",
  },
  IMAGE_MEDIA_TYPE_MISMATCH: {
    means: "A document claims to be of two types at once, an attack on tools that read only one of them",
    blame: "job",
    hint: "Do not trust this image: two tools would read it differently",
  },
  IMAGE_UNSUPPORTED_MEDIA_TYPE: {
    means: "The image, or one of its layers, has an unsupported media type",
    blame: "job",
    hint: "Push the image as OCI or Docker v2 schema 2, with gzip or zstd layers",
  },
  IMAGE_DIGEST_MISMATCH: {
    means: "A manifest or config does not have the requested digest",
    blame: "infra",
    hint: "Check the registry's storage and any caching proxy in front of it",
  },
  IMAGE_SIZE_MISMATCH: {
    means: "A manifest, config or layer does not have the size in its descriptor",
    blame: "infra",
    hint: "Check the registry's storage and any caching proxy in front of it",
  },
  REGISTRY_UNAUTHORIZED: {
    means: "The registry requires credentials, or rejects those it got",
    blame: "config",
    hint: "Give the DUT a credential registry.json with an entry for this host",
  },
  REGISTRY_DENIED: {
    means: "The registry knows the user and denies access to the image",
    blame: "config",
    hint: "Give this user the right to pull; some registries also respond like this when an image does not exist",
  },
  REGISTRY_BAD_CHALLENGE: {
    means: "The registry requests an unsupported kind of login",
    blame: "infra",
    hint: "Check that the host is a registry, and its authentication settings",
  },
  REGISTRY_BAD_TOKEN: {
    means: "The registry's token server sent an invalid token",
    blame: "infra",
    hint: "Check the log of the registry's token server",
  },
  REGISTRY_BLOB_MISSING: {
    means: "The registry has the manifest, but not a blob that it names",
    blame: "infra",
    hint: "Push the image again: the registry lost part of it",
  },
  REGISTRY_BAD_AUTH_FILE: {
    means: "The credential registry.json is not an auth file as podman and docker write it",
    blame: "config",
    hint: "Write the file with `podman login --authfile`",
  },
  S3_BAD_ENDPOINT: {
    means: "The S3 endpoint is not the URL of a service",
    blame: "job",
    hint: "Give dut.s3 an http:// or https:// URL without query",
  },
  S3_BAD_KEY: {
    means: "An object's key is not valid in S3, or as a path of a file system",
    blame: "job",
    hint: 'Remove "." and ".." from the key, and keep it below 1,024 bytes',
  },
  S3_BAD_CREDENTIALS: {
    means: "The S3 service does not know the access key, or the secret does not match it",
    blame: "config",
    hint: "Correct the access key and secret in the credential s3",
  },
  S3_ACCESS_DENIED: {
    means: "The S3 service knows the access key and denies access",
    blame: "config",
    hint: "Give the access key the right to use this bucket",
  },
  S3_NO_BUCKET: {
    means: "The bucket does not exist, or its name is invalid",
    blame: "job",
    hint: "Correct the bucket's name, or create the bucket",
  },
  S3_NO_KEY: {
    means: "The object does not exist",
    blame: "job",
    hint: "Correct the key",
  },
  S3_CLOCK_SKEW: {
    means: "The DUT's clock differs too much from the S3 service's clock, so its signatures are invalid",
    blame: "infra",
    hint: "Offer NTP by DHCP: the clocks of the DUT and the server differ too much",
  },
  S3_BAD_RESPONSE: {
    means: "The S3 service's response is invalid",
    blame: "infra",
    hint: "Check that dut.s3 names an S3 service",
  },
  S3_REJECTED: {
    means: "The S3 service rejected the request for another reason",
    blame: "infra",
    hint: "Check the S3 service's log",
  },
  S3_SERVER_ERROR: {
    means: "The S3 service failed, and retrying did not help",
    blame: "infra",
    hint: "Check the S3 service's log",
  },
  S3_NO_SUCH_UPLOAD: {
    means: "The S3 service does not know an upload that was in progress",
    blame: "infra",
    hint: "Check the S3 service's log: it lost an upload that was in progress",
  },
  S3_FILE_CHANGED: {
    means: "A file became shorter during its upload",
    blame: "test",
    hint: "Do not write to results after the test has ended",
  },
  FETCH_PROXY_FAILED: {
    means: "The proxy refused the connection",
    blame: "infra",
    hint: "Check the proxy's log, or correct dut.proxy",
  },
  IMAGE_UNKNOWN_USER: {
    means: "The user or group of a step is not in the image's passwd or group file",
    blame: "job",
    hint: "Correct USER in the image, or add the user to it",
  },
  MULTIPART_INVALID: {
    means: "A multipart response with ranges of a file is invalid",
    blame: "infra",
    hint: "Check the proxy between the DUT and the server: it handles requests for several ranges incorrectly",
  },
});

/**
 * Error codes. What is fetched: HTTP, registries and their images, S3.
 */
import { defineErrors } from "./definition.ts";

export const FETCH_ERRORS = defineErrors({
  IMAGE_STORE_INVALID: {
    means: "The image store that the job names is not mounted, or is no overlay store of containers/storage",
    blame: "config",
    hint: "Fill the store by podman with the overlay driver, and export its root: overlay-images and overlay-layers lie there",
  },
  FETCH_BAD_URL: {
    means: "A URL cannot be read, or has a scheme that is not fetched",
    blame: "job",
    hint: "Give an http:// or https:// URL without a user name or password",
  },
  FETCH_INSECURE_REFUSED: {
    means:
      "Plain HTTP, or a certificate that nobody vouches for, was refused: neither a digest nor dut.insecure allows it",
    blame: "job",
    hint: "Use https://, or name the host in dut.insecure",
  },
  FETCH_TLS_UNTRUSTED: {
    means:
      "The server's certificate is not signed by an authority that the DUT knows, or is made for another name",
    blame: "config",
    hint: "Give the farm's CA as the credential ca.pem, or name the host in dut.insecure",
  },
  FETCH_TLS_CLOCK: {
    means: "The server's certificate is not valid at the DUT's time",
    blame: "infra",
    hint: "Compare the DUT's clock with the certificate's dates: offer NTP by DHCP, or renew the certificate",
  },
  FETCH_TLS_FAILED: {
    means: "The TLS connection could not be made, for another reason than the certificate",
    blame: "infra",
    hint: "Check that the port speaks TLS; a plain HTTP server needs http://",
  },
  FETCH_UNREACHABLE: {
    means: "No connection to the server: its name does not resolve, it refuses, or nobody answers",
    blame: "infra",
    hint: "Check the host's name, the server, and the DUT's link and name servers",
  },
  FETCH_STALLED: {
    means: "The server sent nothing for too long, and trying again did not help",
    blame: "infra",
    hint: "Check the DUT's link and the server's load",
  },
  FETCH_TOO_SLOW: {
    means: "The server sends, but slower than the least that is waited for",
    blame: "infra",
    hint: "Check the DUT's link and the server's load",
  },
  FETCH_INTERRUPTED: {
    means: "The connection broke in the middle of the body, again and again",
    blame: "infra",
    hint: "Look at the server's log, and at any proxy between it and the DUT",
  },
  FETCH_CHANGED: {
    means: "The file changed on the server while it was fetched",
    blame: "infra",
    hint: "Somebody replaced the file during the download: run the job again",
  },
  FETCH_WRONG_RANGE: {
    means: "The server answered a request for a part with another part",
    blame: "infra",
    hint: "Repair the server or the proxy before it: it answers ranges wrongly",
  },
  FETCH_NO_RANGES: {
    means: "The server does not serve parts of a file; whoever can takes the whole then",
    blame: "infra",
    hint: "Serve the file by a server that knows Range requests; the agent takes it whole where it may",
  },
  FETCH_TOO_MANY_RANGES: {
    means: "The server does not serve many parts in one answer; fewer are asked for then",
    blame: "infra",
    hint: "Let the server take request headers of 4 KiB; the agent asks for fewer ranges at a time",
  },
  FETCH_BAD_RESPONSE: {
    means: "What came back is no sound HTTP answer",
    blame: "infra",
    hint: "Check that host and port are those of an HTTP server",
  },
  FETCH_REDIRECT_REFUSED: {
    means: "A redirect leads where it must not: too many of them, to a host or scheme that is not allowed",
    blame: "infra",
    hint: "Give the URL that the redirect should lead to",
  },
  FETCH_TOO_LARGE: {
    means: "The answer is larger than anything of its kind may be",
    blame: "job",
    hint: "Check that the URL is the right one",
  },
  HTTP_UNAUTHORIZED: {
    means: "The server answered 401: it wants credentials, or refuses those it got",
    blame: "config",
    hint: "Give the DUT credentials for this host",
  },
  HTTP_FORBIDDEN: {
    means: "The server answered 403",
    blame: "config",
    hint: "The credentials are known but do not suffice: ask the server's owner",
  },
  HTTP_NOT_FOUND: {
    means: "The server answered 404 or 410",
    blame: "job",
    hint: "Correct the URL, or make what it names again: it may have expired",
  },
  HTTP_REJECTED: {
    means: "The server answered with another status that says the request is wrong",
    blame: "job",
    hint: "The server takes no such request: check the URL",
  },
  HTTP_SERVER_ERROR: {
    means:
      "The server answered with a status that says it is in trouble, and went on doing so for as long as it was tried",
    blame: "infra",
    hint: "Look at the server's log, and at any proxy between it and the DUT",
  },
  HTTP_UNEXPECTED_PAGE: {
    means: "A web page came where data was asked for: a login, a captive portal, a proxy's error page",
    blame: "infra",
    hint: "A login or error page came instead of the file: check the proxy, the portal and the URL",
  },
  IMAGE_BAD_REFERENCE: {
    means: "The name of an image cannot be read",
    blame: "job",
    hint: "Write HOST[:PORT]/NAME[:TAG][@DIGEST]",
  },
  IMAGE_NOT_FOUND: {
    means: "The registry, or the image store, has no such image",
    blame: "job",
    hint: "Check name and tag; the registry may also have expired the image",
  },
  IMAGE_NO_PLATFORM: {
    means: "The image is not made for this machine's architecture",
    blame: "job",
    hint: "Build and push the image for this machine's architecture",
  },
  IMAGE_BAD_MANIFEST: {
    means: "The image's manifest or index cannot be used as it is written",
    blame: "job",
    hint: "Push the image again with a current tool",
  },
  IMAGE_BAD_CONFIG: {
    means: "The image's config cannot be used as it is written",
    blame: "job",
    hint: "Push the image again with a current tool",
  },
  IMAGE_MEDIA_TYPE_MISMATCH: {
    means: "A document says that it is of two kinds at once, an attack on whoever reads only one of them",
    blame: "job",
    hint: "Do not trust this image: two tools would read it differently",
  },
  IMAGE_UNSUPPORTED_MEDIA_TYPE: {
    means: "The image, or one of its layers, is of a kind that is not supported",
    blame: "job",
    hint: "Push the image as OCI or Docker v2 schema 2, gzip or zstd layers",
  },
  IMAGE_DIGEST_MISMATCH: {
    means: "A manifest or config does not have the digest by which it was asked for",
    blame: "infra",
    hint: "Check the registry's storage and any caching proxy before it",
  },
  IMAGE_SIZE_MISMATCH: {
    means: "A manifest or config does not have the size that its descriptor says",
    blame: "infra",
    hint: "Check the registry's storage and any caching proxy before it",
  },
  REGISTRY_UNAUTHORIZED: {
    means: "The registry wants credentials, or refuses those it got",
    blame: "config",
    hint: "Give the DUT a credential registry.json with an entry for this host",
  },
  REGISTRY_DENIED: {
    means: "The registry knows who asks, and does not let them have the image",
    blame: "config",
    hint: "Give this user the right to pull; some registries also say so of a missing image",
  },
  REGISTRY_BAD_CHALLENGE: {
    means: "The registry asks for a login in a way that cannot be followed",
    blame: "infra",
    hint: "Check that the host is a registry, and its authentication settings",
  },
  REGISTRY_BAD_TOKEN: {
    means: "The registry's token service answered with something that is no token",
    blame: "infra",
    hint: "Look at the log of the registry's token server",
  },
  REGISTRY_BLOB_MISSING: {
    means: "The registry has the manifest, but not something that it names",
    blame: "infra",
    hint: "Push the image again: the registry lost part of it",
  },
  REGISTRY_BAD_AUTH_FILE: {
    means: "The credential registry.json is no auth file as podman and docker write it",
    blame: "config",
    hint: "Write the file with `podman login --authfile`",
  },
  S3_BAD_ENDPOINT: {
    means: "The S3 endpoint is no URL of a service",
    blame: "job",
    hint: "Give dut.s3 an http:// or https:// URL without query",
  },
  S3_BAD_KEY: {
    means: "An object's key is one that S3 or a file system cannot hold",
    blame: "job",
    hint: 'Leave "." and ".." out of the key, and keep it below 1,024 bytes',
  },
  S3_BAD_CREDENTIALS: {
    means: "The S3 service does not know the access key, or the secret does not fit it",
    blame: "config",
    hint: "Correct the access key and secret in the credential s3",
  },
  S3_ACCESS_DENIED: {
    means: "The S3 service knows who asks, and does not allow it",
    blame: "config",
    hint: "Give the access key the right to this bucket",
  },
  S3_NO_BUCKET: {
    means: "The bucket does not exist, or its name is none",
    blame: "job",
    hint: "Correct the bucket's name, or create the bucket",
  },
  S3_NO_KEY: { means: "The object does not exist", blame: "job", hint: "Correct the key" },
  S3_CLOCK_SKEW: {
    means: "The DUT's clock is too far from the S3 service's for its signatures to count",
    blame: "infra",
    hint: "Offer NTP by DHCP: the DUT's clock and the server's differ too much",
  },
  S3_BAD_RESPONSE: {
    means: "The S3 service's answer cannot be read, or contradicts itself",
    blame: "infra",
    hint: "Check that dut.s3 names an S3 service",
  },
  S3_REJECTED: {
    means: "The S3 service refused the request for another reason",
    blame: "infra",
    hint: "Look at the S3 service's log",
  },
  S3_SERVER_ERROR: {
    means: "The S3 service is in trouble, and went on being so for as long as it was tried",
    blame: "infra",
    hint: "Look at the S3 service's log",
  },
  S3_NO_SUCH_UPLOAD: {
    means: "The S3 service forgot an upload that was under way",
    blame: "infra",
    hint: "Look at the S3 service's log: it forgot an upload under way",
  },
  S3_FILE_CHANGED: {
    means: "A file became shorter while it was uploaded",
    blame: "test",
    hint: "Do not write to results after the test has ended",
  },
  FETCH_PROXY_FAILED: {
    means: "The proxy refused to make the connection",
    blame: "infra",
    hint: "Look at the proxy's log, or correct dut.proxy",
  },
  IMAGE_UNKNOWN_USER: {
    means: "The user or group that a step runs as is not in the image's passwd or group file",
    blame: "job",
    hint: "Correct USER in the image, or add the user to it",
  },
  MULTIPART_INVALID: {
    means: "An answer with many parts of a file cannot be taken apart",
    blame: "infra",
    hint: "Look at the proxy between: it does not answer many ranges right",
  },
});

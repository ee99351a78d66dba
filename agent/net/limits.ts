/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { KiB, MiB } from "../units.ts";

export const MANIFEST_MAX_BYTES = 4 * MiB;
export interface RetryLimits {
  /** How long a request is retried without progress. */
  budgetMs: number;
  /** The same for a host that never responded: more likely its name is wrong than its network slow. */
  firstContactBudgetMs: number;
  firstDelayMs: number;
  maxDelayMs: number;
  /** A server's Retry-After is honoured up to this. */
  maxRetryAfterMs: number;
  /** Bytes that count as progress and renew the budget. */
  progressBytes: number;
  connectTimeoutMs: number;
  /** A server that sends nothing for this long is stalled. */
  silenceMs: number;
  /** A server that sends less than `minBytesPerWindow` in `windowMs` of waiting is too slow, if never silent (containerd#11650). */
  windowMs: number;
  minBytesPerWindow: number;
}
export const RETRY_LIMITS: RetryLimits = {
  // Long enough for a registry that restarts or a switch port that negotiates.
  budgetMs: 5 * 60_000,
  firstContactBudgetMs: 60_000,
  firstDelayMs: 500,
  maxDelayMs: 20_000,
  maxRetryAfterMs: 60_000,
  progressBytes: MiB,
  connectTimeoutMs: 10_000,
  silenceMs: 30_000,
  // 1 KiB/s, the speed of a modem: only broken servers are slower.
  windowMs: 60_000,
  minBytesPerWindow: 60 * KiB,
};
export const MAX_REDIRECTS = 5;
/** How much of an error response's body is read for the message. */
export const ERROR_BODY_MAX_BYTES = 64 * KiB;
/** Signed redirects to object stores carry some KiB of token in one header. */
export const RESPONSE_HEADERS_MAX_BYTES = 64 * KiB;
/** How much of a response is buffered before the socket is paused; larger chunks cost less for each byte. */
export const RESPONSE_BUFFER_BYTES = MiB;
/** Tokens of registries have a few hundred bytes to a few KiB. */
export const TOKEN_MAX_BYTES = 256 * KiB;
/** An image's config has environment, labels and history. Real ones are below 100 KiB. */
export const IMAGE_CONFIG_MAX_BYTES = 8 * MiB;
/** The specification's default, for token servers that send no lifetime. */
export const TOKEN_LIFETIME_MS = 60_000;
/** A token is renewed this long before it expires. */
export const TOKEN_LEEWAY_MS = 10_000;
/** Larger objects are uploaded in parts of this size; each is held in memory. */
export const S3_PART_BYTES = 8 * MiB;
/** Two hide the round trip between parts; more would only cost memory. */
export const S3_PARTS_AT_A_TIME = 2;
/** Some services take minutes to assemble the parts. */
export const S3_COMPLETE_SILENCE_MS = 5 * 60_000;
/** The protocol's limit; larger objects get larger parts. */
export const S3_MAX_PARTS = 10_000;
export const S3_MAX_KEY_BYTES = 1024;
/** A page of a listing has 1,000 keys of at most 1 KiB, escaped. */
export const S3_XML_MAX_BYTES = 16 * MiB;
/** A dead mirror must not cost a job much time: the registry itself is asked next. */
export const MIRROR_BUDGET_MS = 10_000;
/** Headers between two parts of a multipart response. */
export const MULTIPART_HEADER_MAX_BYTES = 8 * KiB;
/** Concurrent requests for ranges: they hide each other's round trips, and each buffers a megabyte. */
export const RANGE_REQUESTS_AT_A_TIME = 4;

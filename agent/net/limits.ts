/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { KiB, MiB } from "../units.ts";

export const MANIFEST_MAX_BYTES = 4 * MiB;
export interface RetryLimits {
  /** How long the same step is tried again without any progress. */
  budgetMs: number;
  /** The same for a host that never answered: its name is more likely wrong than its network slow. */
  firstContactBudgetMs: number;
  firstDelayMs: number;
  maxDelayMs: number;
  /** A server's Retry-After is honoured up to this. */
  maxRetryAfterMs: number;
  /** Bytes that count as progress and renew the budget. */
  progressBytes: number;
  connectTimeoutMs: number;
  /** No byte for this long is silence. */
  silenceMs: number;
  /** Below `minBytesPerWindow` in `windowMs` of waiting is a trickle, though it is never silent (containerd#11650). */
  windowMs: number;
  minBytesPerWindow: number;
}
export const RETRY_LIMITS: RetryLimits = {
  // A switch port that negotiates, a registry that restarts: minutes, not hours.
  budgetMs: 5 * 60_000,
  firstContactBudgetMs: 60_000,
  firstDelayMs: 500,
  maxDelayMs: 20_000,
  maxRetryAfterMs: 60_000,
  progressBytes: MiB,
  connectTimeoutMs: 10_000,
  silenceMs: 30_000,
  // 1 KiB/s: a modem's speed, so that only what is broken falls below it.
  windowMs: 60_000,
  minBytesPerWindow: 60 * KiB,
};
export const MAX_REDIRECTS = 5;
/** Read of an error's body for its message; the rest is of no use to anyone. */
export const ERROR_BODY_MAX_BYTES = 64 * KiB;
/** Signed redirects to object stores carry some KiB of token in one header. */
export const RESPONSE_HEADERS_MAX_BYTES = 64 * KiB;
/** Buffered of a response before the socket is paused; larger chunks cost less for each byte. */
export const RESPONSE_BUFFER_BYTES = MiB;
/** Registries answer with tokens of some hundred bytes to some KiB. */
export const TOKEN_MAX_BYTES = 256 * KiB;
/** Of an image's config: environment, labels, history. Real ones are below 100 KiB. */
export const IMAGE_CONFIG_MAX_BYTES = 8 * MiB;
/** Where a token server names no lifetime, the specification says 60 s. */
export const TOKEN_LIFETIME_MS = 60_000;
/** A token this near its end is renewed first. */
export const TOKEN_LEEWAY_MS = 10_000;
/** Objects above this go up in parts; it is also what one upload holds in memory. */
export const S3_PART_BYTES = 8 * MiB;
/** Two hide the round trip between parts; more only hold memory. */
export const S3_PARTS_AT_A_TIME = 2;
/** Putting the parts together takes some services minutes. */
export const S3_COMPLETE_SILENCE_MS = 5 * 60_000;
/** The protocol's bound; parts grow where it would be passed. */
export const S3_MAX_PARTS = 10_000;
export const S3_MAX_KEY_BYTES = 1024;
/** A page of a listing holds 1,000 keys of at most 1 KiB, escaped. */
export const S3_XML_MAX_BYTES = 16 * MiB;
/** A mirror that is not there must not cost a job its time: the registry itself is asked then. */
export const MIRROR_BUDGET_MS = 10_000;
/** Between two parts of a multipart answer. */
export const MULTIPART_HEADER_MAX_BYTES = 8 * KiB;
/** Requests for ranges in flight: they hide each other's round trips, and each buffers a megabyte. */
export const RANGE_REQUESTS_AT_A_TIME = 4;

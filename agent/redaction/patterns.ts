/**
 * Finds secrets by their context in a command line, which the kernel has printed already, and in messages about it: by their position
 * (user info of URLs, signatures, authorization headers) or by a name before them.
 */
import { truncate } from "../text.ts";

interface SecretKind {
  /** Global; the group `keep` is not replaced. */
  pattern: RegExp;
  warning: string;
}

const HIDDEN = "[hidden]";

/** The start is enough to recognize a value: the whole line is in the log. */
const SHOWN_MAX_LENGTH = 200;

/** A name that ends in a word for a secret: CI_JOB_TOKEN, s3.secret_key, password; not S3_JWT_FILE, which is a path. */
const SECRET_NAME =
  "[\\w.-]*(?:token|secret|passw(?:or)?d|passphrase|jwt|credentials?|auth_config|(?:api|access|secret|private)_?key)(?:_v?\\d{1,3})?";

const NAMED_SECRET = new RegExp(`^${SECRET_NAME}$`, "i");

const NAMED_LIKE_SECRET = "a variable or option on the command line is named like a secret";

const KINDS: readonly SecretKind[] = [
  {
    // Up to the last `@` before the path: a password may contain `@`. The bound on the scheme keeps the search linear.
    pattern: /(?<keep>[a-z][a-z0-9+.-]{0,20}:\/\/)[^/\s"'?#]*@/gi,
    warning: "a URL on the command line holds a user name or password",
  },
  {
    // A signature ends at the next parameter, at a sub-option after the URL, or at a blank.
    pattern:
      /(?<keep>[?&][\w.-]*(?:signature|sig|token|secret|password|passwd|credential|jwt|key)=)(?:(?!,\w+=)[^&\s"'])+/gi,
    warning: "a URL on the command line holds a signature or token",
  },
  {
    pattern: /(?<keep>authorization:\s*(?:basic|bearer|token)\s+)[^\s"']+/gi,
    warning: "the command line holds an Authorization header",
  },
  {
    pattern: /(?<keep>--(?:creds|password|passwd|token|secret|oauth2-bearer)(?:=|\s+))(?!["']?\s)[^\s"']+/gi,
    warning: "a flag on the command line holds a credential",
  },
  {
    // The only option whose whole value is a variable, which ends with the quotes.
    pattern: new RegExp(`(?<keep>(?:dut\\.env="|"dut\\.env=)${SECRET_NAME}=)[^"]+`, "gi"),
    warning: NAMED_LIKE_SECRET,
  },
  {
    pattern: new RegExp(`(?<keep>(?:^|[\\s"'=])${SECRET_NAME}=)(?:"[^"]*"|'[^']*'|[^\\s"']+)`, "gi"),
    warning: NAMED_LIKE_SECRET,
  },
  {
    pattern: /(?<keep>,(?:fscrypt|encrypt)_key=)[^\s"',]+/g,
    warning: "a volume on the command line holds its key",
  },
  {
    // ALIAS,URL,ACCESS_KEY,SECRET_KEY
    pattern: /(?<keep>b2c\.minio="?[^,\s"]*,[^,\s"]*,)[^\s"]+/g,
    warning: "b2c.minio holds the keys of an S3 service",
  },
  {
    // All but the first part: an invalid value may have the keys anywhere.
    pattern: /(?<keep>dut\.s3_alias="?[^,\s"]*,)[^\s"]+/g,
    warning: "dut.s3_alias holds the keys of an S3 service",
  },
];

/** Replaces every secret in the text. */
export function hideSecrets(text: string): string {
  return KINDS.reduce(
    (clean, { pattern }) =>
      clean.replace(pattern, (match, ...groups) => {
        const { keep } = groups.at(-1) as { keep: string };
        return `${keep}${HIDDEN}${match.endsWith("@") ? "@" : ""}`;
      }),
    text,
  );
}

/** A user name without a password is a secret only where it is a token, which is longer than names are. */
const TOKEN_MIN_LENGTH = 16;

/** The values of the secrets in a text, to hide them elsewhere. */
export function listSecretValues(text: string): string[] {
  const found = KINDS.flatMap(({ pattern }) =>
    [...text.matchAll(pattern)].flatMap((match) => {
      const value = match[0].slice(match.groups!["keep"]!.length);
      if (value.endsWith("@")) return listUserInfo(value.slice(0, -1));
      return [value.replace(/^(["'])(.*)\1$/s, "$2"), ...value.split(",")];
    }),
  );
  return [...new Set(found.flatMap((value) => [value, decodeIfEncoded(value)]))];
}

function listUserInfo(userInfo: string): string[] {
  const colon = userInfo.indexOf(":");
  if (colon !== -1) return [userInfo.slice(colon + 1)];
  return userInfo.length >= TOKEN_MIN_LENGTH ? [userInfo] : [];
}

function decodeIfEncoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** A warning for each kind of secret in the line, without the secret. */
export function findSecrets(line: string): string[] {
  const found = KINDS.filter(({ pattern }) => line.search(pattern) !== -1).map(({ warning }) => warning);
  return [...new Set(found)].map(
    (warning) =>
      `${warning}: the kernel has printed it on the console already; give it as a credential (docs/credentials.md)`,
  );
}

/** For messages: without secrets and control characters, and truncated. */
export function showValue(text: string): string {
  const clean = hideSecrets(text).replace(
    /[\x00-\x1f\x7f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return truncate(clean, SHOWN_MAX_LENGTH);
}

/** Whether the value of a variable with this name is a secret. */
export function isSecretName(name: string): boolean {
  return NAMED_SECRET.test(name);
}

/** For `NAME=VALUE`, whose value may contain spaces: hides all of it when the name is that of a secret. */
export function hideEnvironment(entry: string): string {
  const name = entry.split("=", 1)[0]!;
  return isSecretName(name) && entry !== name ? `${name}=${HIDDEN}` : hideSecrets(entry);
}

/**
 * Secrets that stand where they must not: in a command line, which the kernel has printed already, and in what we print of it.
 * They are told by where they stand (user-info, signing parameters, credentials in headers) or by the name in front of them.
 */
import { truncate } from "../text.ts";

interface SecretKind {
  /** Global; the group `keep` stays in front of what is replaced. */
  pattern: RegExp;
  /** What a warning calls it. */
  says: string;
}

const HIDDEN = "[hidden]";

/** A reader recognises a value by its start; the line itself stands in the log. */
const SHOWN_MAX_LENGTH = 200;

/** A name that ends in a word for "secret": CI_JOB_TOKEN, s3.secret_key, password; not S3_JWT_FILE, which is a path. */
const SECRET_NAME =
  "[\\w.-]*(?:token|secret|passw(?:or)?d|passphrase|jwt|credentials?|auth_config|(?:api|access|secret|private)_?key)(?:_v?\\d{1,3})?";

const NAMED_SECRET = new RegExp(`^${SECRET_NAME}$`, "i");

const NAMED_LIKE_SECRET = "a variable or option on the command line is named like a secret";

const KINDS: readonly SecretKind[] = [
  {
    // Up to the last `@` before the path: a password may hold one. No scheme is longer; an open end would be quadratic.
    pattern: /(?<keep>[a-z][a-z0-9+.-]{0,20}:\/\/)[^/\s"'?#]*@/gi,
    says: "a URL on the command line holds a user name or password",
  },
  {
    // A signature ends at the next parameter, at a sub-option behind the URL, or with the word.
    pattern:
      /(?<keep>[?&][\w.-]*(?:signature|sig|token|secret|password|passwd|credential|jwt|key)=)(?:(?!,\w+=)[^&\s"'])+/gi,
    says: "a URL on the command line holds a signature or token",
  },
  {
    pattern: /(?<keep>authorization:\s*(?:basic|bearer|token)\s+)[^\s"']+/gi,
    says: "the command line holds an Authorization header",
  },
  {
    pattern: /(?<keep>--(?:creds|password|passwd|token|secret|oauth2-bearer)(?:=|\s+))(?!["']?\s)[^\s"']+/gi,
    says: "a flag on the command line holds a credential",
  },
  {
    // The one option whose whole value is a variable: its quotes say where the value ends.
    pattern: new RegExp(`(?<keep>(?:dut\\.env="|"dut\\.env=)${SECRET_NAME}=)[^"]+`, "gi"),
    says: NAMED_LIKE_SECRET,
  },
  {
    pattern: new RegExp(`(?<keep>(?:^|[\\s"'=])${SECRET_NAME}=)(?:"[^"]*"|'[^']*'|[^\\s"']+)`, "gi"),
    says: NAMED_LIKE_SECRET,
  },
  {
    pattern: /(?<keep>,(?:fscrypt|encrypt)_key=)[^\s"',]+/g,
    says: "a volume on the command line holds its key",
  },
  {
    // ALIAS,URL,ACCESS_KEY,SECRET_KEY
    pattern: /(?<keep>b2c\.minio="?[^,\s"]*,[^,\s"]*,)[^\s"]+/g,
    says: "b2c.minio holds the keys of an S3 service",
  },
  {
    // Wherever its keys stand: a value that is not understood may have them anywhere.
    pattern: /(?<keep>dut\.s3_alias="?[^,\s"]*,)[^\s"]+/g,
    says: "dut.s3_alias holds the keys of an S3 service",
  },
];

/** The same text with every secret in it replaced; what is no secret stays readable. */
export function hideSecrets(text: string): string {
  return KINDS.reduce(
    (clean, { pattern }) =>
      clean.replace(pattern, (found, ...groups) => {
        const { keep } = groups.at(-1) as { keep: string };
        return `${keep}${HIDDEN}${found.endsWith("@") ? "@" : ""}`;
      }),
    text,
  );
}

/** A user name alone is mostly no secret; hosts of code take tokens in its place, which are longer than names. */
const TOKEN_MIN_LENGTH = 16;

/** The secrets that stand in a text, as values to look for elsewhere. */
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

/** A warning for each kind of secret in the line; never the secret. */
export function findSecrets(line: string): string[] {
  const found = KINDS.filter(({ pattern }) => line.search(pattern) !== -1).map(({ says }) => says);
  return [...new Set(found)].map(
    (says) =>
      `${says}: the kernel has printed it on the console already; give it as a credential (docs/credentials.md)`,
  );
}

/** For messages: without secrets, without control characters, at most some hundred characters. */
export function showValue(text: string): string {
  const clean = hideSecrets(text).replace(
    /[\x00-\x1f\x7f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return truncate(clean, SHOWN_MAX_LENGTH);
}

/** Whether a variable's name says that its value is a secret. */
export function isSecretName(name: string): boolean {
  return NAMED_SECRET.test(name);
}

/** For `NAME=VALUE` whose value may hold spaces: nothing of it is left when the name says "secret". */
export function hideEnvironment(entry: string): string {
  const name = entry.split("=", 1)[0]!;
  return isSecretName(name) && entry !== name ? `${name}=${HIDDEN}` : hideSecrets(entry);
}

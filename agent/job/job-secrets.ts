/**
 * Lists the secrets in a job, so that they can be redacted: a job file and extra arguments may have some.
 */
import { isSecretName, listSecretValues } from "../redaction/patterns.ts";
import type { Job } from "./job.ts";

/** None is empty. */
export function listJobSecrets(job: Job): string[] {
  const { s3Aliases = [], volumes = [], steps } = job;
  const secrets = [
    ...s3Aliases.flatMap(({ accessKey, secretKey }) => [accessKey, secretKey]),
    ...volumes.flatMap(({ fscryptKey = "", mirrorOptions: { encryptKey = "" } }) => [
      ...[fscryptKey, encryptKey],
      // PATH=KEY
      encryptKey.slice(encryptKey.indexOf("=") + 1),
    ]),
    ...listEnvironmentSecrets(steps.flatMap(({ env }) => env)),
    // In URLs and in commands.
    ...listTexts(job).flatMap(listSecretValues),
  ];
  return [...new Set(secrets.map((text) => text.trim()).filter((text) => text !== ""))];
}

/** Secrets in `NAME=VALUE` entries. */
export function listEnvironmentSecrets(entries: readonly string[]): string[] {
  return entries.flatMap((entry) => {
    const [, name = "", value = ""] = /^([^=]*)=(.*)$/s.exec(entry) ?? [];
    return isSecretName(name) ? [value] : listSecretValues(value);
  });
}

/** All strings in a tree of objects and arrays. */
function listTexts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(listTexts);
}

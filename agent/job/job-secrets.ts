/**
 * The secrets that a job itself holds, for whoever has to keep them out of logs: a job file and extra arguments may have them.
 */

import { isSecretName, listSecretValues } from "../redaction/patterns.ts";
import type { Job } from "./job.ts";

/** Each as it would show in a text; none is empty. */
export function listJobSecrets(job: Job): string[] {
  const { s3Aliases = [], volumes = [], steps } = job;
  const found = [
    ...s3Aliases.flatMap(({ accessKey, secretKey }) => [accessKey, secretKey]),
    ...volumes.flatMap(({ fscryptKey = "", mirrorOptions: { encryptKey = "" } }) => [
      ...[fscryptKey, encryptKey],
      // PATH=KEY
      encryptKey.slice(encryptKey.indexOf("=") + 1),
    ]),
    ...listEnvironmentSecrets(steps.flatMap(({ env }) => env)),
    // In URLs of any kind, and in the words of commands.
    ...listTexts(job).flatMap(listSecretValues),
  ];
  return [...new Set(found.map((text) => text.trim()).filter((text) => text !== ""))];
}

/** Of `NAME=VALUE` entries whose name says so. */
export function listEnvironmentSecrets(entries: readonly string[]): string[] {
  return entries.flatMap((entry) => {
    const [, name = "", value = ""] = /^([^=]*)=(.*)$/s.exec(entry) ?? [];
    return isSecretName(name) ? [value] : listSecretValues(value);
  });
}

/** Every text in a value made of plain objects and arrays. */
function listTexts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(listTexts);
}

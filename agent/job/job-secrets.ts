/**
 * The secrets that a job itself holds, for whoever has to keep them out of logs: a job file and extra arguments may have them.
 */
import type { Job } from "./job.ts";
import { isSecretName } from "./redact.ts";

/** Each as it would show in a text; none is empty. */
export function listJobSecrets({ s3Aliases = [], volumes = [], steps }: Job): string[] {
  const ofSteps = steps.flatMap(({ env }) =>
    env.flatMap((entry) => {
      const [, name = "", value = ""] = /^([^=]*)=(.*)$/s.exec(entry) ?? [];
      // Of a value of several lines each may stand alone in a log.
      return isSecretName(name) ? value.split("\n") : [];
    }),
  );
  const found = [
    ...s3Aliases.flatMap(({ accessKey, secretKey }) => [accessKey, secretKey]),
    ...volumes.flatMap(({ fscryptKey = "", mirrorOptions: { encryptKey = "" } }) => [fscryptKey, encryptKey]),
    ...ofSteps,
  ];
  return [...new Set(found.map((text) => text.trim()).filter((text) => text !== ""))];
}

/**
 * Reads a file of environment variables as podman's --env-file does: a `NAME=VALUE` a line, the value as it stands.
 * No quotes, no escapes; white space in front of the name and lines that start with `#` do not count.
 */
import { AgentError } from "../errors.ts";

/** Entries as they stand; a bare `NAME` or `NA*` asks for what the agent knows. Throws RUN_BAD_SETTING with the line's number only. */
export function parseEnvFile(text: string, name: string): string[] {
  return text.split("\n").flatMap((written, index) => {
    const line = written.replace(/\r$/, "").trimStart();
    if (line === "" || line.startsWith("#")) return [];
    if (line.startsWith("=")) {
      throw new AgentError(
        "RUN_BAD_SETTING",
        `Cannot read the environment file "${name}": line ${index + 1} has a value without a name`,
      );
    }
    return [line];
  });
}

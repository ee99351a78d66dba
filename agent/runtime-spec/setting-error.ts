/**
 * The error of a container setting that cannot be applied.
 */
import { AgentError } from "../errors.ts";

export function createSettingError(message: string): AgentError {
  return new AgentError("RUN_BAD_SETTING", message);
}

/** What this folder needs of a log; the agent's own fits. */
export interface SysLog {
  debug(text: string): void;
  info(text: string): void;
  warn(text: string): void;
}

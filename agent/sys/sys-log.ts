/** The part of the agent's log that this room needs. */
export interface SysLog {
  debug(text: string): void;
  info(text: string): void;
  warn(text: string): void;
}

/** Returns an `onConsole` that calls `act` once when the console has shown `text`, possibly in two chunks. */
export function whenConsoleSays(text: string, act: () => void): (chunk: Buffer) => void {
  let said: string | undefined = "";
  return (chunk) => {
    if (said === undefined) return;
    said += chunk.toString("latin1");
    if (!said.includes(text)) return;
    said = undefined;
    act();
  };
}

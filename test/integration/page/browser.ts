/**
 * A headless Chromium for one test file, spoken to over its DevTools protocol (two pipes, messages end with NUL): pages of text in
 * windows of any size, what they complain of, and pictures of them.
 */
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { ensureBrowserRoot } from "../../../qemu/browser-root.ts";

export interface View {
  width: number;
  height: number;
  scheme: "light" | "dark";
}

export interface OpenPage {
  /** The value of an expression in the page. */
  evaluate<Value>(expression: string): Promise<Value>;
  /** Errors and warnings of the console, what the policy refused, and requests to the network. */
  complaints: readonly string[];
  /** PNG of the window, or of all of the page. */
  takePicture(options?: { isWhole?: boolean }): Promise<Buffer>;
  close(): Promise<void>;
}

export interface Browser {
  openPage(path: string, view: View): Promise<OpenPage>;
  close(): Promise<void>;
}

type Params = Readonly<Record<string, unknown>>;
interface Message {
  id?: number;
  method?: string;
  sessionId?: string;
  params?: Params;
  result?: Params;
  error?: { message: string };
}

const FLAGS = [
  // Root in a namespace of our own; the pages are ours.
  ...["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars"],
  ...["--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"],
];

export async function startBrowser(folder: string): Promise<Browser> {
  const tools = await ensureBrowserRoot({ log: () => {} });
  const child = tools.spawn(
    "chromium-headless-shell",
    [...FLAGS, `--user-data-dir=${folder}/profile`, "about:blank"],
    {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
      env: { ...process.env, HOME: folder, XDG_CACHE_HOME: folder },
    },
  );
  const [, , , input, output] = child.stdio as unknown as [null, null, null, Writable, Readable];
  const waiting = new Map<number, { resolve(result: Params): void; reject(error: Error): void }>();
  const listeners = new Map<string, (message: Message) => void>();
  let nextId = 1;
  let rest = "";
  output.setEncoding("utf8").on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\0");
    rest = parts.pop()!;
    for (const part of parts) {
      const message = JSON.parse(part) as Message;
      const asked = message.id === undefined ? undefined : waiting.get(message.id);
      if (!asked) listeners.get(message.sessionId ?? "")?.(message);
      else if (message.error) asked.reject(new Error(message.error.message));
      else asked.resolve(message.result ?? {});
    }
  });
  child.on("exit", (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`Chromium ended with ${code ?? signal}`));
  });
  const send = (method: string, params: Params = {}, sessionId?: string) =>
    new Promise<Params>((resolve, reject) => {
      const id = nextId++;
      waiting.set(id, { resolve, reject });
      input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });

  return {
    async openPage(path, { width, height, scheme }) {
      const { targetId } = await send("Target.createTarget", { url: "about:blank" });
      const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
      const call = (method: string, params?: Params) => send(method, params, sessionId as string);
      const complaints: string[] = [];
      const url = `file://${path}`;
      const loaded = new Promise<void>((resolve) => {
        listeners.set(sessionId as string, ({ method, params = {} }) => {
          if (method === "Page.loadEventFired") resolve();
          const entry = params.entry as { text?: string } | undefined;
          if (method === "Log.entryAdded") complaints.push(`log: ${entry?.text}`);
          if (method === "Runtime.consoleAPICalled")
            complaints.push(`console: ${JSON.stringify(params.args)}`);
          if (method === "Runtime.exceptionThrown") complaints.push(`exception: ${JSON.stringify(params)}`);
          if (method === "Page.javascriptDialogOpening") complaints.push(`dialog: ${params.message}`);
          const request = params.request as { url: string } | undefined;
          if (
            method === "Network.requestWillBeSent" &&
            request?.url !== url &&
            !request?.url.startsWith("data:")
          )
            complaints.push(`request: ${request?.url}`);
        });
      });
      for (const domain of ["Page", "Log", "Runtime", "Network"]) await call(`${domain}.enable`);
      await call("Emulation.setDeviceMetricsOverride", {
        width,
        height,
        deviceScaleFactor: 1,
        mobile: width < 500,
      });
      await call("Emulation.setEmulatedMedia", {
        features: [{ name: "prefers-color-scheme", value: scheme }],
      });
      await call("Page.navigate", { url });
      await loaded;
      return {
        complaints,
        async evaluate<Value>(expression: string) {
          const { result, exceptionDetails } = await call("Runtime.evaluate", {
            expression,
            returnByValue: true,
          });
          if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
          return (result as { value: Value }).value;
        },
        async takePicture({ isWhole = false } = {}) {
          const { data } = await call("Page.captureScreenshot", { captureBeyondViewport: isWhole });
          return Buffer.from(data as string, "base64");
        },
        async close() {
          await send("Target.closeTarget", { targetId });
        },
      };
    },
    async close() {
      child.removeAllListeners("exit");
      const ended = once(child, "exit");
      // Its helpers too: it is the leader of their group.
      process.kill(-child.pid!, "SIGKILL");
      await ended;
      input.destroy();
      output.destroy();
    },
  };
}

/**
 * Stands for the agent in a network namespace: brings the network up as told by its one argument (JSON), says what
 * came of it as JSON lines, and stays until its standard input ends.
 */
import { once } from "node:events";
import { AgentError } from "../../../../agent/errors.ts";
import type { InterfaceSettings } from "../../../../agent/job/machine-settings.ts";
import { queryTime } from "../../../../agent/sys/clock/ntp.ts";
import {
  bringUpNetwork,
  type NetworkOptions,
  type NetworkState,
} from "../../../../agent/sys/network/network.ts";
import {
  type StaticNetworkOptions,
  setUpInterfaces,
} from "../../../../agent/sys/network/static-interfaces.ts";

const say = (record: object) => process.stdout.write(`${JSON.stringify(record)}\n`);
const text = (line: string) => say({ log: line });
const { askTime, interfaces, ...wishes } = JSON.parse(process.argv[2]!) as Omit<
  NetworkOptions & StaticNetworkOptions,
  "log"
> & {
  askTime?: boolean;
  interfaces?: InterfaceSettings[];
};
const options = { ...wishes, log: { debug: text, info: text, warn: text } };
let state: NetworkState | undefined;
try {
  state = await (interfaces ? setUpInterfaces(interfaces, options) : bringUpNetwork(options));
  const { stop: _, ...plain } = state;
  say({ state: plain });
  if (askTime) say({ time: await queryTime(state.ntpServers) });
} catch (error) {
  say({ error: error instanceof AgentError ? error.code : String(error) });
}
process.stdin.resume();
await once(process.stdin, "end");
state?.stop();

/**
 * The farm's own network for one virtual DUT: a network namespace with a tap, where dnsmasq gives addresses, names and
 * files, chronyd gives the time, and the farm's servers are found at the address that QEMU's user network has for them.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startOwnedProcess } from "../owned-process.ts";
import type { ToolsRoot } from "../tools-root.ts";
import { relayPorts } from "./port-relay.ts";
import { type ServerProcess, startServer } from "./server-process.ts";

/** 10.0.2.2, so that URLs for a guest hold on this network and on QEMU's user network. */
const GATEWAY_ADDRESS = "10.0.2.2";
/** The gateway by name; the farm's certificate has it too. */
export const GATEWAY_NAME = "farm.test";
const TAP = "tap0";

export interface Gateway {
  /** The same tools, run inside the network: give it to `bootDut`. */
  tools: ToolsRoot;
  /** Where the DUT finds it, and what else runs in its network by `tools`. */
  address: string;
  /** QEMU's `-nic` value. One DUT at a time. */
  nic: string;
  /** What is put here is served by TFTP. */
  tftpRoot: string;
  stop(): Promise<void>;
}

export interface GatewayOptions {
  tools: ToolsRoot;
  /** For state and logs. */
  folder: string;
  /** Ports of this machine's loopback that the DUT finds at the gateway. */
  ports: readonly number[];
  log: (line: string) => void;
  /** More dnsmasq options, after ours: `--dhcp-option=…`. */
  dnsmasqOptions?: readonly string[];
  /** Offered by DHCP option 42; default: the gateway, where chronyd serves this machine's time. */
  ntpServer?: string;
}

/** Needs root and /dev/net/tun. When one part cannot start, none is left. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { folder, ports, log } = options;
  const tftpRoot = join(folder, "tftp");
  await mkdir(tftpRoot, { recursive: true });
  const onDeath = (message: string) => log(`gateway: ${message}`);
  const parts: { stop(): Promise<void> }[] = [];
  const stop = async () => {
    for (const part of parts.splice(0).reverse()) await part.stop();
  };
  try {
    const network = await startNetwork(options.tools);
    parts.push(network);
    const tools = enterNetwork(options.tools, network.words);
    parts.push(await startDnsmasq({ ...options, tools }, tftpRoot, onDeath));
    parts.push(await startTimeServer(tools, folder, onDeath));
    parts.push(await relayPorts(network.words, GATEWAY_ADDRESS, ports));
    const nic = `tap,ifname=${TAP},script=no,downscript=no,model=virtio-net-pci`;
    return { tools, address: GATEWAY_ADDRESS, nic, tftpRoot, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const SET_UP = `set -e
ip link set lo up
ip tuntap add dev ${TAP} mode tap
ip address add ${GATEWAY_ADDRESS}/24 dev ${TAP}
ip link set ${TAP} up
echo ready
exec sleep infinity`;

/** Makes the namespace; a sleeping process holds it, and `words` before a command run that in it. */
async function startNetwork(tools: ToolsRoot): Promise<{ words: string[]; stop(): Promise<void> }> {
  const owned = startOwnedProcess(["unshare", "--net", ...tools.commandWords("sh", ["-c", SET_UP])]);
  let said = "";
  await new Promise<void>((resolve, reject) => {
    const hear = (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes("ready\n")) resolve();
    };
    owned.child.stdout!.on("data", hear);
    owned.child.stderr!.on("data", hear);
    owned.ended.then(() => reject(new Error(`Cannot make a network for the DUT: ${said.trim()}`)), reject);
  });
  return {
    words: ["nsenter", `--net=/proc/${owned.child.pid}/ns/net`, "--"],
    stop: async () => {
      owned.kill();
      await owned.ended;
    },
  };
}

function enterNetwork(tools: ToolsRoot, words: readonly string[]): ToolsRoot {
  return tools.wrap((inner) => [...words, ...inner]);
}

function startDnsmasq(
  { tools, folder, ntpServer = GATEWAY_ADDRESS, dnsmasqOptions = [] }: GatewayOptions,
  tftpRoot: string,
  onDeath: (message: string) => void,
): Promise<ServerProcess> {
  return startServer({
    name: "dnsmasq",
    // User and group stay as they are: changing them would clear the signal that ends it when this process dies.
    words: tools.commandWords("dnsmasq", [
      ...[
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--user=root",
        "--group=root",
        "--log-facility=-",
        "--log-dhcp",
      ],
      ...[`--interface=${TAP}`, "--bind-interfaces", `--pid-file=${join(folder, "dnsmasq.pid")}`],
      ...["--dhcp-range=10.0.2.15,10.0.2.99,255.255.255.0,1h", "--dhcp-authoritative", "--no-ping"],
      ...[`--dhcp-leasefile=${join(folder, "dhcp-leases")}`, `--dhcp-option=option:ntp-server,${ntpServer}`],
      ...[
        "--no-resolv",
        "--no-hosts",
        `--domain=${GATEWAY_NAME}`,
        `--address=/${GATEWAY_NAME}/${GATEWAY_ADDRESS}`,
      ],
      ...["--enable-tftp", `--tftp-root=${tftpRoot}`],
      ...dnsmasqOptions,
    ]),
    logPath: join(folder, "dnsmasq.log"),
    readyPattern: /started, version ()/,
    onDeath,
  });
}

async function startTimeServer(
  tools: ToolsRoot,
  folder: string,
  onDeath: (message: string) => void,
): Promise<ServerProcess> {
  const configPath = join(folder, "chrony.conf");
  // Stratum 3: a server that says it is unsynchronized (16) is believed by nobody.
  await writeFile(
    configPath,
    "local stratum 3\nallow 10.0.2.0/24\ncmdport 0\nbindcmdaddress /\npidfile /run/chronyd.pid\n",
  );
  return startServer({
    name: "chronyd",
    // -x: this machine's clock is none of its business.
    words: tools.commandWords("chronyd", ["-d", "-x", "-u", "root", "-f", configPath]),
    logPath: join(folder, "chronyd.log"),
    readyPattern: /chronyd version .* starting ()/,
    onDeath,
  });
}

/**
 * The farm's network for one virtual DUT: a network namespace with a tap. dnsmasq serves DHCP, DNS and TFTP, chronyd
 * serves NTP, and the farm's servers have the same address as on QEMU's user network.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startOwnedProcess } from "../owned-process.ts";
import type { ToolsRoot } from "../tools-root.ts";
import { relayPorts } from "./port-relay.ts";
import { type ServerProcess, startServer } from "./server-process.ts";

/** The address of QEMU's user network, so that the guest's URLs are valid on both networks. */
const GATEWAY_ADDRESS = "10.0.2.2";
/** The gateway's name; also in the farm's certificate. */
export const GATEWAY_NAME = "farm.test";
const TAP = "tap0";

export interface Gateway {
  /** The tools root inside the network, for `bootDut`. */
  tools: ToolsRoot;
  /** The gateway's address in its network. */
  address: string;
  /** QEMU's `-nic` value, for one DUT at a time. */
  nic: string;
  /** The folder that TFTP serves. */
  tftpRoot: string;
  stop(): Promise<void>;
}

export interface GatewayOptions {
  tools: ToolsRoot;
  /** Folder for state and logs. */
  folder: string;
  /** Loopback ports of this machine to forward from the gateway. */
  ports: readonly number[];
  log: (line: string) => void;
  /** Extra dnsmasq options, appended: `--dhcp-option=…`. */
  dnsmasqOptions?: readonly string[];
  /** DHCP option 42. Default: the gateway, where chronyd serves this machine's time. */
  ntpServer?: string;
}

/** Needs root and /dev/net/tun. If one part cannot start, stops the others. */
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

/** Creates the namespace, which a sleeping process holds. `words` in front of a command run it inside. */
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
    // Keep user and group: a change would clear the signal that kills it when this process dies.
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
  // Stratum 3: clients ignore an unsynchronized server (16).
  await writeFile(
    configPath,
    "local stratum 3\nallow 10.0.2.0/24\ncmdport 0\nbindcmdaddress /\npidfile /run/chronyd.pid\n",
  );
  return startServer({
    name: "chronyd",
    // -x: do not change this machine's clock.
    words: tools.commandWords("chronyd", ["-d", "-x", "-u", "root", "-f", configPath]),
    logPath: join(folder, "chronyd.log"),
    readyPattern: /chronyd version .* starting ()/,
    onDeath,
  });
}

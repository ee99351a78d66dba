/**
 * DHCP on one interface by busybox's udhcpc, which renews the lease while the machine runs.
 * Its script only adds: removing an address or route would break what uses the network (systemd#21967).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Lease, parseLease } from "./lease.ts";

// `mask` is a prefix length in udhcpc's environment, `subnet` the dotted form. Routes: option 121 outweighs 3 (RFC 3442).
const SCRIPT = `#!/bin/sh
# Written by the dutboot agent; udhcpc calls it with the lease in the environment.
ip() { "$DUTBOOT_BUSYBOX" ip "$@"; }
route() { # NET GATEWAY
  case "$2" in
    0.0.0.0) ip route replace "$1" dev "$interface" metric "$DUTBOOT_METRIC" ;;
    *) ip route replace "$1" via "$2" dev "$interface" metric "$DUTBOOT_METRIC" 2>/dev/null ||
       { ip route replace "$2/32" dev "$interface" metric "$DUTBOOT_METRIC"
         ip route replace "$1" via "$2" dev "$interface" metric "$DUTBOOT_METRIC"; } ;;
  esac
}
case "$1" in
  deconfig) ip link set "$interface" up ;;
  bound|renew)
    # Without a subnet mask: that of the address's class (RFC 1812, as the kernel's ipconfig).
    if ! [ "\${mask:-0}" -ge 1 ] 2>/dev/null; then
      case "$ip" in
        [0-9].*|[0-9][0-9].*|1[01][0-9].*|12[0-7].*) mask=8 ;;
        12[89].*|1[3-8][0-9].*|19[01].*) mask=16 ;;
        *) mask=24 ;;
      esac
    fi
    ip addr show dev "$interface" | "$DUTBOOT_BUSYBOX" grep -qF " $ip/$mask " ||
      ip addr add "$ip/$mask" \${broadcast:+broadcast "$broadcast"} dev "$interface"
    [ "\${mtu:-0}" -ge 576 ] && ip link set "$interface" mtu "$mtu"
    if [ -n "$staticroutes" ]; then
      set -- $staticroutes
      while [ $# -ge 2 ]; do route "$1" "$2"; shift 2; done
    else
      for gateway in $router; do
        [ "$gateway" = 0.0.0.0 ] || { route default "$gateway"; break; }
      done
    fi
    for key in ip mask router dns ntpsrv search domain serverid lease rootpath siaddr tftp; do
      eval "echo \\"$key=\\$$key\\""
    done >"$DUTBOOT_LEASE.new"
    "$DUTBOOT_BUSYBOX" mv "$DUTBOOT_LEASE.new" "$DUTBOOT_LEASE" ;;
  leasefail) echo "no answer to discover" ;;
  nak) echo "refused by the server: $message" ;;
esac
`;

export interface DhcpOptions {
  /** Directory of the script, the leases and udhcpc's output. */
  stateDir: string;
  metric: number;
  hostname?: string;
  busybox?: string;
}

export interface DhcpClient {
  /** undefined before the first answer. */
  readLease(): Lease | undefined;
  /** The last line of its output, for a message. */
  readLastLine(): string;
  /** Ends the client; the address stays. */
  stop(): void;
}

export function startDhcpClient(interfaceName: string, options: DhcpOptions): DhcpClient {
  const { stateDir, metric, hostname, busybox = "busybox" } = options;
  mkdirSync(stateDir, { recursive: true });
  const scriptPath = join(stateDir, "udhcpc-script");
  if (!existsSync(scriptPath)) writeFileSync(scriptPath, SCRIPT, { mode: 0o755 });
  const leasePath = join(stateDir, `${interfaceName}.lease`);
  const outputPath = join(stateDir, `${interfaceName}.log`);
  rmSync(leasePath, { force: true });

  const args = ["udhcpc", "-f", "-i", interfaceName, "-s", scriptPath];
  // SIGUSR1 to the process in this file renews the lease at once: for debugging and for tests.
  args.push("-p", join(stateDir, `${interfaceName}.pid`));
  // Five tries, then again after a pause, without end.
  args.push("-t", "5", "-T", "2", "-A", "5");
  for (const option of ["ntpsrv", "search", "staticroutes", "mtu", "rootpath", "tftp"])
    args.push("-O", option);
  if (hostname) args.push("-x", `hostname:${hostname}`);
  const outputFd = openSync(outputPath, "w");
  let child: ChildProcess;
  try {
    child = spawn(busybox, args, {
      // In its own session, so that a signal to the agent does not end it.
      detached: true,
      stdio: ["ignore", outputFd, outputFd],
      env: {
        ...process.env,
        DUTBOOT_BUSYBOX: busybox,
        DUTBOOT_LEASE: leasePath,
        DUTBOOT_METRIC: String(metric),
      },
    });
  } finally {
    closeSync(outputFd);
  }
  let failure = "";
  child.on("error", (error) => {
    failure = error.message;
  });
  child.unref();

  return {
    readLease: () => (existsSync(leasePath) ? parseLease(readFileSync(leasePath, "utf8")) : undefined),
    readLastLine: () => failure || (readFileSync(outputPath, "utf8").trim().split("\n").at(-1) ?? ""),
    stop: () => {
      child.kill("SIGKILL");
    },
  };
}

/** Error codes of the machine, its initrd and network, and of the agent itself. */
import { defineErrors } from "./definition.ts";

export const MACHINE_ERRORS = defineErrors({
  FILE_SYSTEM_MOUNT_FAILED: {
    means: "A file system that the job defines could not be mounted",
    blame: "config",
    hint: "Check the source, type and options of the file system; `mount` on the host with the same options shows more",
  },
  INITRD_DAMAGED: {
    means:
      "A file of the initrd differs from its manifest; a kernel boots with a truncated initramfs and only logs the error",
    blame: "infra",
    hint: "Serve the initrd again, or give the machine more memory: the kernel unpacks only what fits",
  },
  AGENT_DIED: {
    means: "The agent's process ended without a verdict; its supervisor gave this one",
    blame: "bug",
    hint: "Report this with the full log",
  },
  AGENT_SILENT: {
    means:
      "The agent's process sent no heartbeat for two minutes; its supervisor killed it and the test, and gave this verdict",
    blame: "bug",
    hint: "Report this with the full log",
  },
  AGENT_OUT_OF_MEMORY: {
    means: "The agent ended because the machine's memory, or the limit of its runtime, was exhausted",
    blame: "bug",
    hint: "Give the machine more memory; if it has plenty, report this with the full log",
  },
  MACHINE_DIED: {
    means:
      "The machine stopped before the end of the job without a message: a power loss, a reset, or a hang that was ended from outside; a later boot with the same cache device detected it and uploaded the remains",
    blame: "infra",
    hint: "Check the power supply and what can reset the machine; dutboot.log and kernel.log end shortly before it",
  },
  BUG_UNEXPECTED: {
    means: "The agent met an unexpected error; the log has the stack",
    blame: "bug",
    hint: "Report this with the full log",
  },
  PHASE_TIMEOUT: {
    means: 'A phase other than "run" exceeded the limit of the job or of the agent',
    blame: "infra",
    hint: "Check in the log what the phase waited for, or raise its limit (dut.timeout.PHASE)",
  },
  NETWORK_BAD_PARAMETER: {
    means: "The kernel's ip= parameter is invalid",
    blame: "job",
    hint: "Write ip= as in the kernel's nfsroot.txt: CLIENT:SERVER:GATEWAY:MASK:HOST:DEVICE:AUTOCONF:DNS:DNS:NTP, or ip=dhcp",
  },
  MACHINE_SWAP_FAILED: {
    means: "The job's swap could not be created or enabled",
    blame: "infra",
    hint: "Use a size that fits on the cache device, or a device that is not in use",
  },
  MACHINE_NBD_FAILED: {
    means: "A network block device could not be attached",
    blame: "infra",
    hint: "Check that the NBD server runs and has a default export",
  },
  MODULES_MISSING: {
    means: "The kernel has no modules, and none of its built-in drivers found a wired network interface",
    blame: "config",
    hint: "Serve the modules archive of this kernel beside the initrd, and check that the loader fetches all of it",
  },
  MODULES_FOREIGN: {
    means: "The modules archive is of another kernel, and no built-in driver found a wired network interface",
    blame: "config",
    hint: "Serve the modules archive of this kernel; `dutboot build --kernel-package NAME` writes both",
  },
  NETWORK_NO_INTERFACE: {
    means: "The machine has no wired network interface, or the driver is missing",
    blame: "infra",
    hint: "Connect a wired adapter, or add its driver and firmware to the modules archive",
  },
  NETWORK_NO_CARRIER: {
    means: "No network interface has a link",
    blame: "infra",
    hint: "Check the cable, the switch port and the adapter's firmware",
  },
  NETWORK_NO_LEASE: {
    means: "No DHCP server answered",
    blame: "infra",
    hint: "Check the DHCP server and the VLAN of the switch port",
  },
  NETWORK_FAILED: {
    means: "The kernel refused an address or a route",
    blame: "infra",
    hint: "Check the log lines of the interface before this error",
  },
  NFS_EXPORT_UNKNOWN: {
    means: "Neither the job nor DHCP names the server and path of the NFS root",
    blame: "config",
    hint: "Write nfsroot=SERVER:/PATH, or let the DHCP server send root-path (option 17) and next-server",
  },
  NFS_UNREACHABLE: {
    means: "The NFS server does not answer",
    blame: "infra",
    hint: "Check the NFS server, and that the DUT can reach its ports",
  },
  NFS_REFUSED: {
    means: "The NFS server does not allow this machine to mount the export",
    blame: "config",
    hint: "Correct the path, or export it to the DUT on the server",
  },
  NFS_UNSUPPORTED: {
    means: "The server or this kernel does not support the requested version of NFS",
    blame: "config",
    hint: "Boot with a kernel or a modules archive that has the NFS client, or request another version",
  },
  NFS_MOUNT_FAILED: {
    means: "The NFS export could not be mounted for another reason",
    blame: "infra",
    hint: "Check the kernel's log; versions and options must suit the server",
  },
});

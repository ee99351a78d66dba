/**
 * Error codes. The machine, its initrd and its network, and the agent itself.
 */
import { defineErrors } from "./definition.ts";

export const MACHINE_ERRORS = defineErrors({
  FILE_SYSTEM_MOUNT_FAILED: {
    means: "A file system that the job defines could not be mounted",
    blame: "config",
    hint: "Look at the source, type and options of the file system; on the host `mount` with the same words says more",
  },
  INITRD_DAMAGED: {
    means:
      "A file of the initrd differs from the manifest that was built into it; kernels boot on with a truncated initramfs and only log it",
    blame: "infra",
    hint: "Serve the initrd again, or give the machine more memory: a short unpack is silent",
  },
  AGENT_DIED: {
    means: "The agent's process ended without a verdict; its supervisor gave this one in its place",
    blame: "bug",
    hint: "Report this with the full log",
  },
  AGENT_SILENT: {
    means:
      "The agent's process was there but showed no sign of life for two minutes; its supervisor killed it and the test, and gave this verdict in its place",
    blame: "bug",
    hint: "Report this with the full log",
  },
  AGENT_OUT_OF_MEMORY: {
    means: "The agent ended because memory ran out: the kernel's, or what its runtime allows it",
    blame: "bug",
    hint: "Give the machine more memory; if it has plenty, report this with the full log",
  },
  MACHINE_DIED: {
    means:
      "The machine stopped before the job's end without a word: power, a reset, or a hang that somebody ended; a later boot on the same cache device found that out and uploaded what was there",
    blame: "infra",
    hint: "Look at the power supply and at what resets the machine; the last lines of dutboot.log and kernel.log are from shortly before",
  },
  BUG_UNEXPECTED: {
    means: "The agent met an error that it does not foresee; the log has the stack",
    blame: "bug",
    hint: "Report this with the full log",
  },
  PHASE_TIMEOUT: {
    means: 'A phase other than "run" took longer than the job, or the agent\'s own limit, allows for it',
    blame: "infra",
    hint: "Raise the limit of the phase (dut.timeout.PHASE), or look at the log for what it waited for",
  },
  NETWORK_BAD_PARAMETER: {
    means: "The kernel's ip= parameter cannot be read",
    blame: "job",
    hint: "Write ip= as the kernel's nfsroot.txt says: CLIENT:SERVER:GATEWAY:MASK:HOST:DEVICE:AUTOCONF:DNS:DNS:NTP, or ip=dhcp",
  },
  MACHINE_SWAP_FAILED: {
    means: "The swap that the job wants could not be made or used",
    blame: "infra",
    hint: "Give swap less room than the cache device has free, or a device that nobody uses",
  },
  MACHINE_NBD_FAILED: {
    means: "A network block device could not be attached",
    blame: "infra",
    hint: "Check that the NBD server runs and has a default export",
  },
  NETWORK_NO_INTERFACE: {
    means: "The machine has no wired network card, or its driver is not there",
    blame: "infra",
    hint: "Plug in a wired adapter, or add its driver and firmware to the modules archive",
  },
  NETWORK_NO_CARRIER: {
    means: "The network card has no link",
    blame: "infra",
    hint: "Check cable, switch port and the adapter's firmware",
  },
  NETWORK_NO_LEASE: {
    means: "No DHCP server answered",
    blame: "infra",
    hint: "Check the DHCP server, and that the port is in its VLAN",
  },
  NETWORK_FAILED: {
    means: "The kernel refused an address or a route",
    blame: "infra",
    hint: "Look at the lines of the interface above",
  },
  NFS_EXPORT_UNKNOWN: {
    means: "Neither the job nor DHCP says which server and path the NFS root has",
    blame: "config",
    hint: "Write nfsroot=SERVER:/PATH, or have the DHCP server send root-path (option 17) and next-server",
  },
  NFS_UNREACHABLE: {
    means: "The NFS server does not answer",
    blame: "infra",
    hint: "Check the NFS server, and that its ports are open to the DUT",
  },
  NFS_REFUSED: {
    means: "The NFS server does not let this machine mount the export",
    blame: "config",
    hint: "Correct the path, or export it to the DUT in the server's settings",
  },
  NFS_UNSUPPORTED: {
    means: "The server, or this kernel, does not speak the version of NFS that is asked for",
    blame: "config",
    hint: "Boot with a kernel or a modules archive that has the NFS client",
  },
  NFS_MOUNT_FAILED: {
    means: "Mounting the NFS export failed for another reason",
    blame: "infra",
    hint: "Look at the kernel's log: versions and options must suit the server",
  },
});

/**
 * The job's settings of the machine itself: network, clock, disks, modules, and how it ends.
 */
export interface MachineSettings {
  /** Network interfaces configured by hand; they replace `ip=` and DHCP on all interfaces. */
  interfaces?: InterfaceSettings[];
  /** `auto` is a public pool. */
  ntp?: "none" | "auto" | { host: string };
  /** Gets the kernel's messages by UDP. */
  netconsole?: { host: string; port: number };
  hostname?: string;
  keymap?: string;
  /** Names for modprobe. */
  modules?: string[];
  /** Module files in the initrd, in loading order. */
  moduleFiles?: string[];
  swap?: Swap;
  networkBlockDevices?: NetworkBlockDevice[];
  /** Names of file systems with image stores of podman. */
  imageStores?: string[];
  /** Proxies for downloads by URL scheme. */
  proxies?: Readonly<Record<string, string>>;
  /** Of b2c.extra_args_url. */
  extraArgumentsUrl?: string;
  /** The job file, with its digest in lower-case hex. */
  jobFileUrl?: { url: string; sha256?: string };
  end?: EndSettings;
  /** The console gets no markers of GitLab sections. */
  hasNoSections?: boolean;
}

export interface InterfaceSettings {
  name: string;
  asksDhcp: boolean;
  /** `ADDRESS/PREFIXLENGTH` each. */
  addresses: string[];
  gateway?: string;
  routes: { to: string; via: string }[];
  nameservers: string[];
  forwards: boolean;
}

/** A file of this size on the cache device, or a device. */
export type Swap = ({ sizeBytes: number } | { device: string }) & { swappiness?: number };

export interface NetworkBlockDevice {
  device: string;
  host: string;
  port: number;
  connections: number;
}

export interface EndSettings {
  /** The wait after the last message, in which the farm can cut the power. */
  poweroffDelayMs?: number;
  /** Replaces the plain power-off. */
  poweroffCommand?: string;
  rebootCommand?: string;
}

/**
 * What a job says about the machine itself, before any root is there: network, clock, disks, modules, and how it ends.
 */

export interface MachineSettings {
  /** Network interfaces set up by hand; they win over `ip=` and over asking everywhere. */
  interfaces?: InterfaceSettings[];
  /** `auto`: a public pool. */
  ntp?: "none" | "auto" | { host: string };
  /** Who gets the kernel's own messages by UDP. */
  netconsole?: { host: string; port: number };
  hostname?: string;
  keymap?: string;
  /** Names for modprobe. */
  modules?: string[];
  /** Files of modules in the initrd, loaded in this order. */
  moduleFiles?: string[];
  swap?: Swap;
  networkBlockDevices?: NetworkBlockDevice[];
  /** Names of file systems with images that podman's storage can read. */
  imageStores?: string[];
  /** Proxy for downloads, by the scheme of what is fetched. */
  proxies?: Readonly<Record<string, string>>;
  /** Where more arguments are fetched from. */
  extraArgumentsUrl?: string;
  /** Where the job file is fetched from; its digest in lower-case hex. */
  jobFileUrl?: { url: string; sha256?: string };
  end?: EndSettings;
  /** No marks of GitLab's sections on the console. */
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
  /** Slept after the last message, so that the farm can cut the power first. */
  poweroffDelayMs?: number;
  /** In place of the plain power-off and reboot. */
  poweroffCommand?: string;
  rebootCommand?: string;
}

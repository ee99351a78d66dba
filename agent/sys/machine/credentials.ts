/**
 * Secrets for this machine, which are never on the command line: from a file in an extra initrd archive, QEMU's fw_cfg, or SMBIOS
 * OEM strings, in this order (as systemd's credentials).
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { AgentError } from "../../errors.ts";
import { CREDENTIAL_MAX_BYTES } from "../limits.ts";
import type { SysLog } from "../sys-log.ts";

export interface Credentials {
  /** undefined for an absent one. Throws CREDENTIAL_BAD_FILE, whose message has nothing of the content. */
  read(name: string): Promise<Buffer | undefined>;
}

export interface CredentialOptions {
  log?: SysLog;
  /** Files named as the credential. */
  directory?: string;
  /** The kernel's directory of fw_cfg entries. */
  fwCfgDirectory?: string;
  /** The kernel's copy of the SMBIOS table. */
  smbiosTable?: string;
}

const FW_CFG_PREFIX = "opt/org.dutboot/credentials";
const SMBIOS_PREFIX = "dutboot.credential:";

export function createCredentials(options: CredentialOptions = {}): Credentials {
  const {
    directory = "/etc/dutboot/credentials",
    fwCfgDirectory = "/sys/firmware/qemu_fw_cfg/by_name",
    smbiosTable = "/sys/firmware/dmi/tables/DMI",
  } = options;
  return {
    async read(name) {
      if (!/^[a-z0-9][a-z0-9._-]*$/.test(name))
        throw new TypeError(`"${name}" is not a valid name of a credential`);
      const sources = [
        { source: "a file", read: () => readIfThere(join(directory, name), name) },
        { source: "fw_cfg", read: () => readIfThere(join(fwCfgDirectory, FW_CFG_PREFIX, name, "raw"), name) },
        { source: "SMBIOS", read: () => findSmbiosString(readIfThere(smbiosTable, name), name) },
      ];
      for (const { source, read } of sources) {
        const content = read();
        if (!content) continue;
        options.log?.info(`credentials: "${name}" from ${source}, ${content.length} bytes`);
        return content;
      }
      return undefined;
    },
  };
}

function readIfThere(path: string, name: string): Buffer | undefined {
  try {
    if (statSync(path).size > CREDENTIAL_MAX_BYTES)
      throw bad(name, `"${path}" is larger than ${CREDENTIAL_MAX_BYTES} bytes`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof AgentError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw bad(name, `"${path}" cannot be read: ${code}`);
  }
}

function findSmbiosString(table: Buffer | undefined, name: string): Buffer | undefined {
  const start = `${SMBIOS_PREFIX}${name}=`;
  const text = parseOemStrings(table ?? Buffer.alloc(0))
    .find((oem) => oem.startsWith(start))
    ?.slice(start.length);
  if (text === undefined) return undefined;
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0)
    throw bad(name, "the SMBIOS string is not base64");
  return Buffer.from(text, "base64");
}

function bad(name: string, why: string): AgentError {
  return new AgentError("CREDENTIAL_BAD_FILE", `Cannot read credential "${name}": ${why}`);
}

/**
 * Reads the OEM strings (type 11) from the firmware's SMBIOS table (DMTF DSP0134 sections 6.1.3 and 7.12). The table is untrusted, so
 * every length is checked.
 */
const TYPE_OEM_STRINGS = 11;
const TYPE_END = 127;
const HEADER_BYTES = 4;

/** Stops at a malformed structure. */
export function parseOemStrings(table: Buffer): string[] {
  const found: string[] = [];
  let at = 0;
  while (at + HEADER_BYTES <= table.length) {
    const type = table[at]!;
    const formattedBytes = table[at + 1]!;
    if (formattedBytes < HEADER_BYTES) break;
    // Strings follow the formatted part, each ended by a NUL, the set by one more; no strings is two NULs.
    const start = at + formattedBytes;
    const end = table.indexOf("\0\0", start, "latin1");
    if (end === -1) break;
    if (type === TYPE_OEM_STRINGS && end > start)
      found.push(...table.toString("utf8", start, end).split("\0"));
    if (type === TYPE_END) break;
    at = end + 2;
  }
  return found;
}

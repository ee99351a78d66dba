/**
 * The farm's identity: its CA, its server certificate and the registry's password; created once and cached.
 * The certificate is valid for the host's address (127.0.0.1) and the guest's (10.0.2.2, QEMU's user network).
 */
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ensureCacheEntry } from "../cache-entry.ts";
import type { ToolsRoot } from "../tools-root.ts";

export interface FarmIdentity {
  caPem: string;
  /** Paths of the files. */
  caPath: string;
  certificatePath: string;
  keyPath: string;
  registryUsername: string;
  registryPassword: string;
  htpasswdPath: string;
}

const REGISTRY_USERNAME = "dut";
const SUBJECT_ALT_NAME = "subjectAltName=IP:127.0.0.1,IP:10.0.2.2,DNS:localhost,DNS:farm.test";
// A DUT whose clock stands at its initrd's build time must find the certificate already valid.
const VALID_FROM = "20200101000000Z";
const VALID_UNTIL = "20450101000000Z";

const MAKE_CERTIFICATES = `
set -eu
umask 077
new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
validity="-not_before ${VALID_FROM} -not_after ${VALID_UNTIL}"
new_key ca.key
openssl req -x509 -new -key ca.key -subj "/CN=dutboot virtual farm CA" $validity \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -out ca.pem
new_key server.key
openssl req -x509 -new -key server.key -subj "/CN=dutboot virtual farm" $validity -CA ca.pem -CAkey ca.key \
  -addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=serverAuth -addext ${SUBJECT_ALT_NAME} -out server.pem
mkdir ca
cp ca.pem ca/ca.crt
htpasswd -niB -C 4 ${REGISTRY_USERNAME} < registry-password > htpasswd
`;

export async function ensureFarmIdentity(tools: ToolsRoot, signal?: AbortSignal): Promise<FarmIdentity> {
  const { path } = await ensureCacheEntry(
    {
      name: "farm-identity",
      recipe: MAKE_CERTIFICATES,
      fill: async (folder) => {
        await writeFile(join(folder, "registry-password"), randomBytes(18).toString("base64url"), {
          mode: 0o600,
        });
        await tools.run("sh", ["-c", MAKE_CERTIFICATES], { cwd: folder, signal });
      },
    },
    { signal },
  );
  return {
    caPem: await readFile(join(path, "ca.pem"), "utf8"),
    caPath: join(path, "ca", "ca.crt"),
    certificatePath: join(path, "server.pem"),
    keyPath: join(path, "server.key"),
    registryUsername: REGISTRY_USERNAME,
    registryPassword: await readFile(join(path, "registry-password"), "utf8"),
    htpasswdPath: join(path, "htpasswd"),
  };
}

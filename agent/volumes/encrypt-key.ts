/**
 * `encrypt_key`: the key with which an S3 service encrypts a mirror (SSE-C), in the form of the MinIO client's `--encrypt-key`:
 * `[ALIAS/BUCKET[/PREFIX]=]KEY`, the key as 64 hex digits, in base64, or as 32 plain characters.
 */
import { AgentError } from "../errors.ts";
import type { Mirror } from "../job/volume.ts";

const KEY_BYTES = 32;

/** The key, if it covers the mirror's location. Throws VOLUME_BAD_KEY. Messages do not contain the key. */
export function parseEncryptKey(
  text: string,
  { volume, mirror }: { volume: string; mirror: Pick<Mirror, "alias" | "bucket" | "prefix"> },
): Buffer | undefined {
  const whole = decodeKey(text);
  if (whole) return whole;
  const [, scope = "", keyText = ""] = /^([^=/]+\/[^=]*)=(.*)$/s.exec(text) ?? [];
  const key = decodeKey(keyText);
  if (!key) {
    throw new AgentError(
      "VOLUME_BAD_KEY",
      `Cannot mirror volume "${volume}": its encrypt_key is not ${KEY_BYTES} bytes in hex, base64 or plain`,
    );
  }
  const location = `${[mirror.alias, mirror.bucket, mirror.prefix].filter(Boolean).join("/")}/`;
  return location.startsWith(scope.replace(/\/*$/, "/")) ? key : undefined;
}

function decodeKey(text: string): Buffer | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, "hex");
  if (/^[A-Za-z0-9+/]{43}=?$/.test(text)) return Buffer.from(text, "base64");
  const plain = Buffer.from(text);
  return plain.length === KEY_BYTES ? plain : undefined;
}

/**
 * The secrets in a credential file (docs/credentials.md): they must be known before the file is used, and before an error about it is
 * logged. A file of an unknown name is a secret as a whole.
 */

/** Certificates are public. */
const PUBLIC_FILES = new Set(["ca.pem"]);

/** Never throws: an invalid file is reported where it is used. */
export function listCredentialSecrets(name: string, bytes: Buffer): string[] {
  if (PUBLIC_FILES.has(name)) return [];
  const text = bytes.toString();
  if (name === "s3") return listIniSecrets(text);
  if (name === "registry.json") return listAuthSecrets(text);
  return [text.trim()];
}

/** Key ids are not secrets: services name them in their errors. */
function listIniSecrets(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    const [, name = "", value = ""] = /^\s*([\w-]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    return /secret|token/i.test(name) ? [value] : [];
  });
}

function listAuthSecrets(text: string): string[] {
  const secrets: string[] = [];
  try {
    JSON.parse(text, (name, value: unknown) => {
      if (typeof value !== "string") return value;
      if (/^(?:auth|password|identitytoken|registrytoken)$/.test(name)) secrets.push(value);
      if (name === "auth") {
        const [, password] = /^[^:]*:(.*?)\0*$/s.exec(Buffer.from(value, "base64").toString()) ?? [];
        if (password !== undefined) secrets.push(password);
      }
      return value;
    });
  } catch {
    return secrets;
  }
  return secrets;
}

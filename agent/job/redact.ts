/**
 * Secrets that stand where they must not: in URLs of the command line, which the kernel has printed already.
 */

const USER_INFO = /([a-z][a-z0-9+.-]*:\/\/)([^/@\s"]+)@/gi;
const SIGNED_QUERY =
  /([?&](?:X-Amz-Signature|X-Amz-Security-Token|token|sig|signature|password|secret)=)[^&\s",]+/gi;

/** The same text with user-info and signing parameters of its URLs replaced. */
export function hideSecrets(text: string): string {
  return text.replace(USER_INFO, "$1[hidden]@").replace(SIGNED_QUERY, "$1[hidden]");
}

/** A warning for each kind of secret in the line; never the secret. */
export function findSecrets(line: string): string[] {
  const warnings: string[] = [];
  const where =
    "the kernel has printed it on the console already; give it as a credential (docs/credentials.md)";
  if (line.search(USER_INFO) !== -1)
    warnings.push(`a URL on the command line holds a user name or password: ${where}`);
  if (line.search(SIGNED_QUERY) !== -1)
    warnings.push(`a URL on the command line holds a signature or token: ${where}`);
  return warnings;
}

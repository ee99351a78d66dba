/**
 * Parsers of sources and destinations: URLs of five schemes with their sub-options.
 * `https://`, `http://`, `s3://BUCKET/KEY`, `nfs://SERVER/EXPORT/PATH`, and `file:` for a path in the initrd.
 */
import { showValue } from "../../redaction/patterns.ts";
import type {
  Artifact,
  HostAndPort,
  LogDestination,
  NfsExport,
  NfsRoot,
  RegistryMirror,
  ResultsDestination,
  RootArchive,
  Source,
} from "../job.ts";
import {
  parseAbsolutePath,
  parseHosts,
  parseS3Location,
  parseSha256,
  parseUrl,
  parseUrlPrefix,
  splitSubOptions,
  ValueError,
} from "./values.ts";

/** The value of one `dut.rootfs`. */
export type RootSource = { archive: RootArchive } | { nfs: NfsRoot["nfs"] } | { directory: string };

/** A single file; throws ValueError. */
function parseSource(text: string): Source {
  const scheme = readScheme(text);
  if (scheme === "s3") {
    if (!parseS3Location(text).prefix) throw new ValueError("is not s3://BUCKET/KEY");
  } else if (scheme === "nfs") {
    parseNfsUrl(text);
    if (text.endsWith("/")) throw new ValueError("names a directory, not a file");
  } else if (scheme === "file") return `file://${parseInitrdPath(text)}`;
  else parseUrl(text);
  return text;
}

function readScheme(text: string): string | undefined {
  if (/[\x00-\x20\x7f]/.test(text))
    throw new ValueError("is not a URL: it contains a space or a control character");
  const [, scheme] = /^([a-z][a-z0-9+.-]*):/.exec(text) ?? [];
  return scheme;
}

/** `file:/PATH` or `file:///PATH` */
function parseInitrdPath(text: string): string {
  const [, path = ""] = /^file:(?:\/\/)?(.*)$/s.exec(text) ?? [];
  return parseAbsolutePath(decodePath(path), `has the path "${showValue(path)}"`);
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new ValueError(`has the path "${showValue(path)}" with an invalid % encoding`);
  }
}

/** `nfs://SERVER[:PORT]/PATH` */
export function parseNfsUrl(text: string): NfsExport {
  const url = URL.parse(text);
  if (!url?.hostname || url.pathname === "" || url.search || url.hash)
    throw new ValueError("is not nfs://SERVER/PATH");
  if (url.username || url.password) throw new ValueError("contains a user name, which NFS does not use");
  return {
    server: url.hostname,
    path: parseAbsolutePath(decodePath(url.pathname), `has the path "${showValue(url.pathname)}"`),
    options: url.port === "" ? [] : [`port=${url.port}`],
  };
}

/** `nfs://SERVER/EXPORT[,vers=4.2][,opts=A|B]`, with a comma in the path as %2C; `flags` have no value. */
function parseNfsExport(
  text: string,
  flags: readonly string[] = [],
): { nfs: NfsExport; flags: ReadonlySet<string> } {
  const [head = "", ...words] = text.split(",");
  const nfs = parseNfsUrl(head);
  const given = new Set<string>();
  for (const word of words) {
    const [, name, value = ""] = /^(vers|opts)=(.+)$/.exec(word) ?? [];
    if (name === "vers") nfs.version = parseNfsVersion(value);
    else if (name === "opts") nfs.options.push(...value.split("|").filter((option) => option !== ""));
    else if (flags.includes(word)) given.add(word);
    else {
      const known = [...flags, "vers=", "opts="].join(", ");
      throw new ValueError(
        `ends in ",${showValue(word)}", but only ${known} are known; write a comma in a path as %2C`,
      );
    }
  }
  return { nfs, flags: given };
}

/** Throws ValueError for versions that Linux no longer mounts. */
export function parseNfsVersion(text: string): string {
  if (!/^(3|4(\.[012])?)$/.test(text))
    throw new ValueError(`asks for NFS version ${showValue(text)}, which is not 3, 4, 4.0, 4.1 or 4.2`);
  return text;
}

/** Other paths on an NFS server or in an initrd are directories. */
const ARCHIVE_NAME = /\.(tar|tgz|txz|tzst|tar\.(gz|xz|zst|zstd))$/i;

/** `SOURCE[,sha256=HEX][,toc=HEX]` for archives, `nfs://SERVER/EXPORT[,rw][,vers=V][,opts=A|B]`, `file:/DIRECTORY`. */
export function parseRootSource(text: string): RootSource {
  const scheme = readScheme(text);
  const path = text.replace(/,.*$/s, "");
  const isDirectory = (scheme === "nfs" || scheme === "file") && !ARCHIVE_NAME.test(path);
  if (isDirectory && scheme === "nfs") {
    const { nfs, flags } = parseNfsExport(text, ["rw", "ro"]);
    return { nfs: { ...nfs, isWritable: flags.has("rw") && !flags.has("ro") } };
  }
  if (isDirectory) {
    if (path !== text) throw new ValueError("is a directory, which takes no sub-options");
    return { directory: parseInitrdPath(text).replace(/(?<=.)\/+$/, "") };
  }
  const { head, options } = splitSubOptions(text, ["sha256", "toc"]);
  return { archive: { url: parseSource(head), ...parseDigests(options) } };
}

/** `SOURCE[,to=/path][,sha256=HEX][,toc=HEX]`: read from the end by their names, so that a URL may contain commas. */
export function parseArtifact(text: string): Artifact {
  const { head, options } = splitSubOptions(text, ["to", "sha256", "toc"]);
  const to = options.get("to") ?? "/";
  return {
    url: parseSource(head),
    to: parseAbsolutePath(to, `has "to=${showValue(to)}"`),
    ...parseDigests(options),
  };
}

function parseDigests(options: ReadonlyMap<string, string>): Pick<RootArchive, "sha256" | "tableSha256"> {
  const sha256 = options.get("sha256");
  const toc = options.get("toc");
  return {
    sha256: sha256 === undefined ? undefined : parseSha256("sha256", sha256),
    tableSha256: toc === undefined ? undefined : parseSha256("toc", toc.replace(/^sha256:/, "")),
  };
}

/** `SOURCE[,sha256=HEX]` */
export function parseJobFileSource(text: string): { url: Source; sha256?: string } {
  const { head, options } = splitSubOptions(text, ["sha256"]);
  return { url: parseSource(head), sha256: parseDigests(options).sha256 };
}

/** `s3://BUCKET/PREFIX`, `https://HOST/PREFIX` for PUT, or `nfs://SERVER/EXPORT[,vers=V][,opts=A|B]`. */
export function parseResultsDestination(text: string): ResultsDestination {
  const scheme = readScheme(text);
  if (scheme === "nfs") return { nfs: parseNfsExport(text).nfs };
  if (scheme !== "https" && scheme !== "http") return { s3: parseS3Location(text) };
  return { put: parseUrlPrefix(text) };
}

/** `REGISTRY=URL` */
export function parseRegistryMirror(text: string): RegistryMirror {
  const [, registry, target] = /^([^=/]+)=(.+)$/s.exec(text) ?? [];
  if (registry === undefined) throw new ValueError("is not REGISTRY=URL");
  return { registry: parseHosts(registry)[0]!, url: parseUrlPrefix(target!) };
}

const SYSLOG_PORT = { udp: 514, tcp: 601 } as const;
const NETCONSOLE_PORT = 6666;
const LOG_FORMS =
  "tcp://HOST:PORT, syslog://HOST[:PORT], syslog+tcp://HOST[:PORT], https://HOST/PATH or s3://BUCKET/PREFIX";

/** `tcp://HOST:PORT`, `syslog://HOST`, `syslog+tcp://HOST`, `https://HOST/PATH`, `s3://BUCKET/PREFIX`. */
export function parseLogDestination(text: string): LogDestination {
  const scheme = readScheme(text);
  if (scheme === "s3") return { s3: parseS3Location(text) };
  if (scheme === "https" || scheme === "http") {
    const url = parseUrl(text);
    if (url.hash) throw new ValueError("has a fragment (#), which is not sent to servers");
    return { http: url.href };
  }
  const address = text.replace(/^[^:]*:\/\//, "");
  if (scheme === "tcp") return { tcp: parseHostAndPort(address, { form: "tcp://HOST:PORT" }) };
  if (scheme !== "syslog" && scheme !== "syslog+tcp") throw new ValueError(`is not ${LOG_FORMS}`);
  const protocol = scheme === "syslog" ? "udp" : "tcp";
  const form = `${scheme}://HOST[:PORT]`;
  return { syslog: { ...parseHostAndPort(address, { form, port: SYSLOG_PORT[protocol] }), protocol } };
}

/** `HOST[:PORT]` */
export function parseNetconsoleTarget(text: string): HostAndPort {
  return parseHostAndPort(text, { form: "HOST[:PORT]", port: NETCONSOLE_PORT });
}

/** `port` is the default; `form` is for the message. */
function parseHostAndPort(text: string, { form, port }: { form: string; port?: number }): HostAndPort {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+))(?::(\d{1,5}))?\/?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const given = match?.[3] === undefined ? port : Number(match[3]);
  if (host === undefined || given === undefined || given < 1 || given > 65_535)
    throw new ValueError(`is not ${form}`);
  return { host, port: given };
}

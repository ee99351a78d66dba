/**
 * One boot for each error code that needs a misbehaving server. The server's faults are data, one address each.
 * `npm test -- night` also runs every-code.test.ts.
 */
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, it } from "vitest";
import type { ErrorCode } from "../../agent/errors.ts";
import { createFarmGuest, type FarmGuest, type GuestBootOptions } from "../boot/agent/farm-guest.ts";
import {
  answer,
  type Behaviour,
  type MisbehavingServer,
  redirect,
  reset,
  serveFile,
  speakGarbage,
  startServer,
} from "../servers/misbehaving-server.ts";
import { buildTar } from "../unit/archive/tar-builder.ts";
import { expectVerdict } from "./forced-code.ts";

const OCI = "application/vnd.oci.image";
const ZEROS = "0".repeat(64);
const TAR = buildTar([
  { path: "etc/motd", content: "a long enough text, so that it has a middle\n".repeat(100) },
]);
const UNSAFE = buildTar([{ path: "../../etc/motd", content: "outside\n" }]);
const GZIPPED = gzipSync(TAR);
const WRONG_CHECKSUM = Buffer.concat([GZIPPED.subarray(0, -8), Buffer.alloc(8)]);
const PAGE = answer(200, { "content-type": "text/html" }, "<!doctype html><title>Please log in</title>");

const manifest = (kind: "index" | "manifest", document: unknown): Behaviour =>
  answer(200, { "content-type": `${OCI}.${kind}.v1+json` }, JSON.stringify(document));
const s3Error = (status: number, code: string): Behaviour =>
  answer(status, { "content-type": "application/xml" }, `<Error><Code>${code}</Code></Error>`);

interface Fault {
  code: ErrorCode;
  phase: "fetch" | "artifact";
  /** `{broken}` is the server's `host:port`. */
  line: string;
  behaviour?: Behaviour;
  options?: GuestBootOptions;
}

/** An artifact with this response. */
const artifact = (code: ErrorCode, behaviour: Behaviour): Fault => ({
  code,
  phase: "artifact",
  behaviour,
  line: `dut.artifact=http://{broken}/${code}`,
});
/** An image whose manifest has this response. */
const image = (code: ErrorCode, behaviour: Behaviour, rest = ":1"): Fault => ({
  code,
  phase: "fetch",
  behaviour,
  line: `dut.image={broken}/${code.toLowerCase()}/image${rest}`,
});
/** An artifact in S3 with this response. */
const object = (code: ErrorCode, behaviour: Behaviour): Fault => ({
  code,
  phase: "artifact",
  behaviour,
  line: `dut.s3=http://{broken} dut.artifact=s3://${code.toLowerCase().replaceAll("_", "-")}/key`,
});

const FAULTS: readonly Fault[] = [
  artifact("HTTP_UNAUTHORIZED", answer(401)),
  artifact("HTTP_FORBIDDEN", answer(403)),
  artifact("HTTP_REJECTED", answer(400)),
  artifact("HTTP_SERVER_ERROR", answer(501)),
  artifact("HTTP_UNEXPECTED_PAGE", PAGE),
  artifact("FETCH_BAD_RESPONSE", speakGarbage),
  artifact("FETCH_INTERRUPTED", reset),
  artifact("FETCH_REDIRECT_REFUSED", redirect("http://10.0.2.2:1/elsewhere")),
  artifact("ARCHIVE_CORRUPT", serveFile(WRONG_CHECKSUM)),
  artifact("ARCHIVE_UNSAFE_MEMBER", serveFile(UNSAFE)),
  image("IMAGE_NO_PLATFORM", manifest("index", { schemaVersion: 2, manifests: [] })),
  image("IMAGE_BAD_MANIFEST", manifest("manifest", { schemaVersion: 2, layers: "none" })),
  image("IMAGE_MEDIA_TYPE_MISMATCH", manifest("manifest", { schemaVersion: 2, layers: [], manifests: [] })),
  image("IMAGE_DIGEST_MISMATCH", manifest("manifest", { schemaVersion: 2 }), `@sha256:${ZEROS}`),
  image("REGISTRY_DENIED", answer(403, {}, '{"errors":[{"code":"DENIED"}]}')),
  image("REGISTRY_BAD_CHALLENGE", answer(401, { "www-authenticate": "Negotiate" })),
  object("S3_BAD_CREDENTIALS", s3Error(403, "SignatureDoesNotMatch")),
  object("S3_ACCESS_DENIED", s3Error(403, "AccessDenied")),
  object("S3_REJECTED", s3Error(301, "PermanentRedirect")),
  { code: "S3_NO_KEY", phase: "artifact", line: "dut.artifact=s3://results/no-such-key" },
  {
    code: "FETCH_TLS_FAILED",
    phase: "artifact",
    line: "dut.artifact=https://{broken}/plain",
    behaviour: reset,
  },
];

let guest: FarmGuest;
let server: MisbehavingServer;

/** A request whose path names a fault gets that fault; others get an empty success. */
const serve: Behaviour = (request, response) => {
  const path = request.url!.toLowerCase().replaceAll("-", "_");
  const fault = FAULTS.find(({ code }) => path.includes(`/${code.toLowerCase()}`));
  return (fault?.behaviour ?? answer(200))(request, response);
};

beforeAll(async () => {
  [guest, server] = await Promise.all([createFarmGuest(), startServer(serve)]);
});
afterAll(async () => {
  await server?.close();
  await guest?.stop();
});

describe.concurrent("a server's fault", { timeout: 3_600_000 }, () => {
  it.for(FAULTS)("$code", async ({ code, phase, line, options }) => {
    const broken = server.host.replace("127.0.0.1", "10.0.2.2");
    const hosts = [broken, ...guest.facts.plainHosts].join(",");
    const run = await guest.boot(`dut.insecure=${hosts} ${line.replaceAll("{broken}", broken)}`, options);
    expectVerdict(run, code, phase);
  });
});

/**
 * Credentials from a file, fw_cfg and SMBIOS, with folders in the kernel's shape.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createCredentials } from "../../../../agent/sys/machine/credentials.ts";

let directory: string;
let options: { directory: string; fwCfgDirectory: string; smbiosTable: string };

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dutboot-credentials-"));
  options = {
    directory: join(directory, "files"),
    fwCfgDirectory: join(directory, "by_name"),
    smbiosTable: join(directory, "DMI"),
  };
});

afterEach(() => rmSync(directory, { recursive: true }));

function giveFile(name: string, content: string | Buffer): void {
  mkdirSync(options.directory, { recursive: true });
  writeFileSync(join(options.directory, name), content);
}

function giveFwCfg(name: string, content: string): void {
  const path = join(options.fwCfgDirectory, "opt/org.dutboot/credentials", name);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "raw"), content);
}

function giveSmbios(text: string): void {
  writeFileSync(options.smbiosTable, Buffer.from(`\x0b\x05\0\0\x01${text}\0\0`, "latin1"));
}

test("returns undefined for a credential that does not exist", async () => {
  expect(await createCredentials(options).read("s3")).toBeUndefined();
});

test("a file comes before fw_cfg, and fw_cfg before SMBIOS", async () => {
  giveSmbios(`dutboot.credential:s3=${Buffer.from("smbios").toString("base64")}`);
  expect(String(await createCredentials(options).read("s3"))).toBe("smbios");
  giveFwCfg("s3", "fw_cfg");
  expect(String(await createCredentials(options).read("s3"))).toBe("fw_cfg");
  giveFile("s3", "file");
  expect(String(await createCredentials(options).read("s3"))).toBe("file");
});

test("bytes are kept, and the log names the place but not the content", async () => {
  giveFile("ca.pem", Buffer.from([0, 0xff, 0x0a]));
  const logs: string[] = [];
  const log = (line: string) => logs.push(line);
  const credentials = createCredentials({ ...options, log: { debug: log, info: log, warn: log } });
  expect(await credentials.read("ca.pem")).toEqual(Buffer.from([0, 0xff, 0x0a]));
  expect(logs).toEqual(['credentials: "ca.pem" from a file, 3 bytes']);
});

test("another name that only starts the same is not it", async () => {
  giveSmbios("dutboot.credential:s3x=QUJD");
  expect(await createCredentials(options).read("s3")).toBeUndefined();
});

test.each(["QUJ", "QU JD", "QUJD=", "secret!!"])("SMBIOS text that is no base64: %j", async (text) => {
  giveSmbios(`dutboot.credential:s3=${text}`);
  const failure = await createCredentials(options)
    .read("s3")
    .catch((error) => error);
  expect(failure.code).toBe("CREDENTIAL_BAD_FILE");
  expect(failure.message).not.toContain(text);
});

test("a directory or an oversized file is an error, not an absent credential", async () => {
  mkdirSync(join(options.directory, "s3"), { recursive: true });
  giveFile("ca.pem", Buffer.alloc(1024 * 1024 + 1));
  const credentials = createCredentials(options);
  await expect(credentials.read("s3")).rejects.toMatchObject({ code: "CREDENTIAL_BAD_FILE" });
  await expect(credentials.read("ca.pem")).rejects.toMatchObject({ code: "CREDENTIAL_BAD_FILE" });
});

test.each(["../s3", "", ".s3", "a/b"])("%j is no name", async (name) => {
  await expect(createCredentials(options).read(name)).rejects.toThrow(TypeError);
});

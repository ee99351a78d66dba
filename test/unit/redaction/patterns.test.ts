/** Which words of a line are taken for secrets, and which stay readable. */
import { describe, expect, it } from "vitest";
import { findSecrets, hideSecrets, showValue } from "../../../agent/redaction/patterns.ts";

describe("hidden", () => {
  it.each([
    ["https://u:hunter2@a/b", "https://[hidden]@a/b"],
    ["https://hunter2@a/b", "https://[hidden]@a/b"],
    ["https://u:hun@ter2@a/b@c", "https://[hidden]@a/b@c"],
    ["docker://u:hunter2@registry/x", "docker://[hidden]@registry/x"],
    [
      "dut.artifact=https://a/b?x=1&X-Amz-Signature=hunter2,to=/opt",
      "dut.artifact=https://a/b?x=1&X-Amz-Signature=[hidden],to=/opt",
    ],
    ["https://a/b?token=hunter2&y=2 next", "https://a/b?token=[hidden]&y=2 next"],
    ["https://a/b?sig=hun,ter2", "https://a/b?sig=[hidden]"],
    ["dut.env=CI_JOB_TOKEN=hunter2 quiet", "dut.env=CI_JOB_TOKEN=[hidden] quiet"],
    ['dut.env="S3_SECRET=hunter2 hunter2" quiet', 'dut.env="S3_SECRET=[hidden]" quiet'],
    ['"dut.env=S3_SECRET=hunter2 hunter2" quiet', '"dut.env=S3_SECRET=[hidden]" quiet'],
    ["-e AWS_SECRET_ACCESS_KEY='hunter2 hunter2' x", "-e AWS_SECRET_ACCESS_KEY=[hidden] x"],
    ["PASSWORD=hunter2 ./run", "PASSWORD=[hidden] ./run"],
    [
      `dut.run="curl -H 'Authorization: Bearer hunter2' x"`,
      `dut.run="curl -H 'Authorization: Bearer [hidden]' x"`,
    ],
    [
      'b2c.minio="gw,http://10.0.0.1:9000,hunter2,hunter2" x',
      'b2c.minio="gw,http://10.0.0.1:9000,[hidden]" x',
    ],
    ["dut.s3_alias=gw,https://s,hunter2,hunter2 x", "dut.s3_alias=gw,[hidden] x"],
    ['dut.s3_alias="gw,hunter2" x', 'dut.s3_alias="gw,[hidden]" x'],
    ["--creds u:hunter2 x --creds=u:hunter2", "--creds [hidden] x --creds=[hidden]"],
    ["b2c.volume=v,fscrypt_key=hunter2=,overwrite", "b2c.volume=v,fscrypt_key=[hidden],overwrite"],
  ])("%s", (line, clean) => {
    expect(hideSecrets(line)).toBe(clean);
    expect(hideSecrets(clean)).toBe(clean);
    const warnings = findSecrets(line);
    expect(warnings).toHaveLength(1);
    expect(warnings.join()).not.toContain("hunter2");
  });
});

it.each([
  "dut.image=registry.farm:5000/mesa/vk@sha256:0123",
  "dut.artifact=https://a/b?version=2,to=/opt@2",
  "dut.env=S3_JWT_FILE=/s3_jwt dut.env=TOKENS=3 dut.env=A=b@c",
  "dut.run=\"curl --token-file t https://a/b && echo 'a@b'\"",
  "dut.s3=https://s3.farm:9000,region=eu quiet",
  "usbcore.quirks=0bda:8153:k nfsroot=10.0.0.1:/nfs,tcp,hard,v3",
])("no secret: %s", (line) => {
  expect(hideSecrets(line)).toBe(line);
  expect(findSecrets(line)).toEqual([]);
});

it("shows a value on one line, truncated", () => {
  expect(showValue("a\nb\x1b[31m")).toBe("a\\x0ab\\x1b[31m");
  expect(showValue("x".repeat(5000)).length).toBeLessThan(300);
});

import { expect, it } from "vitest";
import { parseJobFileText } from "../../../agent/job/job-file.ts";
import { listJobSecrets } from "../../../agent/job/job-secrets.ts";
import { readCommandLine } from "../../../agent/job/read-job.ts";

it.each([
  ["dut.image=h:1/i dut.env=A=b", "", []],
  [
    "dut.image=h:1/i",
    "env: {S3_JWT: 'one\n\n two', PATH: /bin}\ns3_alias: gw,https://s,access,secret\nvolume: v,fscrypt_key=abc=,encrypt_key=gw/b=def",
    ["access", "secret", "abc=", "gw/b=def", "def", "one\ntwo", "one"],
  ],
  ["dut.image=h:1/i dut.env=GIT=https://u:p%40ss@a/b?X-Amz-Signature=feed", "", ["p%40ss", "p@ss", "feed"]],
  [
    "dut.image=h:1/i dut.env=URL=https://glpat-0123456789abcdef@git/x dut.env=U=ssh://git@git/x",
    "",
    ["glpat-0123456789abcdef"],
  ],
  ["dut.image=h:1/i dut.env=CI_JOB_JWT_V2=a.b dut.env=CI_JOB_JWT_FILE=/jwt", "", ["a.b"]],
  ['b2c.minio=gw,http://m,access,secret b2c.run="-e API_TOKEN=x h:1/i"', "", ["access", "secret", "x"]],
])("%s %j", (line, file, secrets) => {
  const { job, errors } = readCommandLine(line, file === "" ? {} : { jobFile: parseJobFileText(file) });
  expect(errors).toEqual([]);
  expect(listJobSecrets(job!)).toEqual(secrets);
});

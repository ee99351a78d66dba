/** In which dialect a line is read, what is refused in an NFS root, and the JSON that explain prints. */
import { describe, expect, it } from "vitest";
import { describeLine } from "../../../agent/job/explain/describe-job.ts";
import { parseJobFileText } from "../../../agent/job/job-file.ts";
import { readCommandLine } from "../../../agent/job/read-job.ts";

describe("the dialect", () => {
  it.each([
    ["", "dut"],
    ["quiet ip=dhcp", "dut"],
    ["dut.image=h:1/i", "dut"],
    ["dut.run=x", "dut"],
    ["b2c.run=h:1/i", "b2c"],
    ["b2c.cache_device=reset", "b2c"],
    ["b2c.pipefail dut.image=h:1/i", "dut"],
    ["root=/dev/nfs", "nfsroot"],
    ["root=/dev/nfs dut.image=h:1/i", "dut"],
    ["root=/dev/nfs b2c.run=h:1/i", "b2c"],
    ["root=/dev/sda1 nfsroot=10.0.0.1:/x", "dut"],
    ["ab2c.run=x xroot=/dev/nfs", "dut"],
  ])("%s", (line, dialect) => {
    expect(readCommandLine(line).dialect).toBe(dialect);
  });

  it("has a warning for options of another one", () => {
    const { warnings } = readCommandLine("dut.image=h:1/i b2c.run=h:1/i b2c.pipefail");
    expect(warnings).toEqual([expect.stringContaining("b2c.run, b2c.pipefail ignored")]);
  });
});

describe("an NFS root is refused", () => {
  it.each([
    ["nfsroot=10.0.0.1:relative", /not absolute/],
    ["nfsroot=$SERVER:/path", /neither an address nor a name/],
    ["nfsroot=10.0.0.1:/path,vers=2", /version 2/],
    ["nfsroot=10.0.0.1:/path,v5", /version 5/],
    ['nfsroot="10.0.0.1:/path,a b"', /option "a b"/],
  ])("%s", (word, words) => {
    const { errors } = readCommandLine(`root=/dev/nfs ${word}`);
    expect(errors).toMatchObject([{ code: "CMDLINE_BAD_VALUE", message: expect.stringMatching(words) }]);
  });

  it("reads options of ours, and reports their errors", () => {
    const { errors } = readCommandLine("root=/dev/nfs dut.iamge=x dut.timeout=x");
    expect(errors.map(({ code }) => code)).toEqual(["CMDLINE_UNKNOWN_OPTION", "CMDLINE_BAD_VALUE"]);
  });
});

describe("a job file", () => {
  it("is overridden by the line", () => {
    const jobFile = parseJobFileText(
      JSON.stringify({ image: "h:1/i", env: ["A=1", "B=2"], "dut.timeout": "5m", run: "ls" }),
    );
    const { job, errors, warnings } = readCommandLine("dut.timeout=1m dut.env=A=3", { jobFile });
    expect(errors).toEqual([]);
    expect(job).toMatchObject({ limits: { timeoutMs: 60_000 }, steps: [{ env: ["A=1", "B=2", "A=3"] }] });
    expect(warnings).toEqual([expect.stringContaining("dut.timeout: the command line overrides")]);
  });

  it.each([null, [], "x", { image: {} }, { env: [[]] }])("is refused: %j", (content) => {
    expect(() => parseJobFileText(JSON.stringify(content))).toThrow(
      expect.objectContaining({ code: "JOB_FILE_INVALID" }),
    );
  });

  it("is read with the same table of options", () => {
    const { errors } = readCommandLine("", { jobFile: parseJobFileText('{"iamge": "x"}') });
    expect(errors.map(({ code }) => code)).toEqual(["CMDLINE_UNKNOWN_OPTION", "CMDLINE_MISSING_OPTION"]);
  });
});

describe("the description", () => {
  const describeText = (line: string) => describeLine(readCommandLine(line));

  it("has every field, whatever the dialect", () => {
    const lines = ["dut.image=h:1/i", "b2c.run=h:1/i", "root=/dev/nfs"];
    const [first, ...others] = lines.map((line) => {
      const { job } = describeText(line);
      return { job: Object.keys(job!).sort(), step: Object.keys(job!.steps[0]!).sort() };
    });
    for (const other of others) expect(other).toEqual(first);
    expect(first?.step).toEqual(
      expect.arrayContaining(["kind", "image", "entrypoint", "argv", "env", "volumes", "workdir"]),
    );
  });

  it("of our own dialect", () => {
    expect(describeText('dut.image=h:1/i:2 dut.run="ls -l" dut.timeout=1m')).toMatchObject({
      dialect: "dut",
      job: {
        root: { image: "h:1/i:2" },
        steps: [{ kind: "main", image: "h:1/i:2", entrypoint: [], argv: ["/bin/sh", "-c", "ls -l"] }],
        limits: { timeoutMs: 60_000 },
        cache: { choice: "none" },
        results: null,
      },
      errors: [],
      warnings: [],
    });
  });

  it("of an invalid line", () => {
    expect(describeText("dut.iamge=x")).toMatchObject({
      job: null,
      phases: [],
      errors: [{ code: "CMDLINE_UNKNOWN_OPTION", blame: "job" }, { code: "CMDLINE_MISSING_OPTION" }],
    });
  });

  it("marks the phases that are skipped", () => {
    const { phases } = describeText("b2c.run=h:1/i");
    expect(phases.filter(({ skipped }) => skipped).map(({ name }) => name)).toEqual([
      "assemble",
      "artifact",
      "upload",
    ]);
  });

  it.each([
    "dut.image=h:1/i dut.env=API_TOKEN=hunter2 dut.artifact=https://a/b?sig=hunter2",
    'dut.image=h:1/i "dut.env=API_TOKEN=x hunter2" dut.run="PASSWORD=hunter2 ./x"',
    "dut.image=https://u:hunter2@h/i dut.artifact=https://u:hunter2@a/b dut.s3=https://u:hunter2@s",
    "b2c.minio=gw,http://m,hunter2,hunter2 b2c.volume=v,mirror=gw/b,fscrypt_key=hunter2,encrypt_key=hunter2",
    "b2c.run=\"-e S3_SECRET='x hunter2' --creds u:hunter2 h:1/i sh -c 'TOKEN=hunter2 ./x'\"",
    "b2c.extra_args_url=http://h/x?token=hunter2 b2c.proxy=https=http://p?key=hunter2",
    "b2c.run=h:1/i b2c.shutdown_cmd=\"curl -H 'Authorization: Bearer hunter2' x\"",
    'b2c.run="h:1/i; API_TOKEN=hunter2" b2c.minio=gw,http://m,hunter2',
    "root=/dev/nfs dut.env=API_TOKEN=hunter2 dut.image=https://u:hunter2@h",
  ])("shows no secret: %s", (line) => {
    expect(JSON.stringify(describeText(line))).not.toContain("hunter2");
  });
});

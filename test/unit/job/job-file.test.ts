/** Job files: both notations, how values are read, and what is refused without showing it. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { OPTIONS } from "../../../agent/job/dut/options.ts";
import { parseJobFileText } from "../../../agent/job/job-file.ts";
import { readCommandLine } from "../../../agent/job/read-job.ts";

const read = (text: string, line = "") => readCommandLine(line, { jobFile: parseJobFileText(text) });
const SCHEMA = JSON.parse(
  readFileSync(new URL("../../../docs/job.schema.json", import.meta.url), "utf8"),
) as { properties: Record<string, { examples: string[]; anyOf?: unknown[] }> };

const YAML = `
# What a farm's gateway serves.
image: registry.farm/mesa/vk:1
run: |
  cd /install
  echo "it's" > /results/x
env:
  A: 1
  B: |
    two
    lines
  S3_SECRET: hunter2
timeout: 15m
pipefail: true
cache_quota: 10G
insecure: [10.42.0.1:8002, cache.farm]
s3_alias: gw,https://s3.farm,hunter2,hunter2
volume:
  - v,mirror=gw/bkt
service: >-
  -v v:/out
  registry.farm/telegraf:1
`;

describe("a job file", () => {
  it("in YAML", () => {
    const { dialect, job, errors, warnings } = read(YAML);
    expect({ dialect, errors, warnings }).toEqual({ dialect: "dut", errors: [], warnings: [] });
    expect(job).toMatchObject({
      root: { image: { repository: "mesa/vk" } },
      steps: [
        {
          kind: "main",
          env: ["A=1", "B=two\nlines\n", "S3_SECRET=hunter2"],
          argv: ["/bin/sh", "-c", 'cd /install\necho "it\'s" > /results/x\n'],
        },
        { kind: "service", volumes: [{ source: "v" }] },
      ],
      limits: { timeoutMs: 900_000 },
      stopsAtFailure: true,
      insecureHosts: ["10.42.0.1:8002", "cache.farm"],
      volumes: [{ name: "v", pull: { alias: "gw" } }],
    });
  });

  it("in JSON, with tabs", () => {
    const { job, errors } = read(
      '{\n\t"image": "h:1/i",\n\t"env": ["A=1", "B=\\u00e9"],\n\t"pipefail": false\n}',
    );
    expect(errors).toEqual([]);
    expect(job).toMatchObject({ steps: [{ env: ["A=1", "B=é"] }] });
    expect(job?.stopsAtFailure).toBe(false);
  });

  it("keeps digits as they are written", () => {
    const digest = `${"1".repeat(60)}e999`;
    const { job, errors } = read(`image: h:1/i\nhostname: 007\nenv: {A: ${digest}, B: 0x10, C: 1_0, D: yes}`);
    expect(errors).toEqual([]);
    expect(job).toMatchObject({
      machine: { hostname: "007" },
      steps: [{ env: [`A=${digest}`, "B=0x10", "C=1_0", "D=yes"] }],
    });
  });

  it("may use anchors, and the names of the command line", () => {
    expect(read("dut.image: &i h:1/i\nstep: *i").job?.steps).toHaveLength(2);
  });

  it.each([
    ["", /not one object/],
    ["- image: h:1/i", /not one object/],
    ["h:1/i", /not one object/],
    ["image: [h:1/i]", /"image" takes one value/],
    ["image: {registry: h}", /"image" is neither text/],
    ["image:", /"image" is neither text/],
    ["env: [[A=1]]", /"env" is neither text/],
    ["run: null", /"run" is neither text/],
    ["image: h:1/i\nimage: h:1/j", /line 2: duplicate key/],
    ["image: h:1/i\n  run: hunter2\n", /line 1/],
    ['{"image": "hunter2', /line 1/],
    ["image: h:1/i\n---\nimage: h:1/j", /line 2: multiple docs/],
    ["1: x", /a name in it is not text/],
    ["image: *nowhere", /./],
    ["image: !frob hunter2", /line 1: tag resolve failed/],
    ["image: !!binary hunter2", /"image" is neither text/],
    ["x".repeat(2 ** 20 + 1), /larger/],
  ])("is refused: %j", (text, words) => {
    let thrown: unknown;
    try {
      const { errors } = read(text);
      thrown = errors[0];
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ message: expect.stringMatching(words) });
    expect((thrown as Error).message).not.toContain("hunter2");
  });

  it.each([
    ["step: h:1/i\niamge: h:1/i", "CMDLINE_UNKNOWN_OPTION", /"iamge" of the job file.*"image"/],
    ["image: h:1/i\njob: https://a/b", "JOB_FILE_INVALID", /"job" in the job file/],
    ["image: h:1/i\nend: x", "JOB_FILE_INVALID", /"end" in the job file/],
    ["image: h:1/i\ntimeout: 15", "CMDLINE_BAD_VALUE", /dut.timeout=15/],
    ["image: h:1/i\ns3_alias: gw,https://s,hunter2", "CMDLINE_BAD_VALUE", /dut.s3_alias=gw/],
    ["image: h:1/i\nvolume: v,fscrypt_key=hunter2,x=y", "CMDLINE_BAD_VALUE", /dut.volume/],
  ])("reports its errors: %j", (text, code, words) => {
    const { errors } = read(text);
    expect(errors).toMatchObject([{ code, message: expect.stringMatching(words) }]);
    expect(errors[0]!.message).not.toContain("hunter2");
  });

  it("is overridden by the line, with a warning", () => {
    const { job, warnings } = read("image: h:1/i\nrun: a\nenv: [A=1]", "dut.run=b dut.env=B=2 dut.env=C=3");
    expect(job?.steps).toMatchObject([{ env: ["A=1", "B=2", "C=3"], argv: ["/bin/sh", "-c", "b"] }]);
    expect(warnings).toEqual(["dut.run: the command line overrides the job file"]);
  });

  it("completes a line that names it, and an NFS root", () => {
    const text = "image: h:1/i\ninsecure: a";
    expect(read(text, "dut.job=https://a/j dut.timeout=1m")).toMatchObject({ errors: [], warnings: [] });
    expect(read("run: x", "root=/dev/nfs nfsroot=10.0.0.1:/r dut.job=https://a/j")).toMatchObject({
      dialect: "nfsroot",
      errors: [],
      job: { steps: [{ argv: ["/bin/sh", "-c", "x"] }] },
    });
  });

  it("is ignored with a warning in boot2container's dialect", () => {
    const { dialect, warnings } = read("run: x", "b2c.run=h:1/i");
    expect(dialect).toBe("b2c");
    expect(warnings).toEqual([expect.stringContaining("the job file is ignored")]);
  });
});

describe("the schema", () => {
  it("has every option that a file may have, and allows lists for repeatable ones", () => {
    const names = OPTIONS.filter(({ isOfLine }) => !isOfLine).map(({ name }) => name.replace("dut.", ""));
    expect(Object.keys(SCHEMA.properties)).toEqual(names);
    for (const { name, isRepeatable = false } of OPTIONS) {
      const property = SCHEMA.properties[name.replace("dut.", "")];
      if (property) expect(property.anyOf !== undefined, name).toBe(isRepeatable);
    }
  });

  it("has examples that a file may contain", () => {
    for (const [name, { examples }] of Object.entries(SCHEMA.properties)) {
      const text = JSON.stringify({ [name]: examples[0]!.replace("sha256:…", `sha256:${"a".repeat(64)}`) });
      const codes = read(text, "dut.s3=https://s").errors.map(({ code }) => code);
      expect(codes, name).not.toContain("CMDLINE_UNKNOWN_OPTION");
      expect(codes, name).not.toContain("JOB_FILE_INVALID");
    }
  });
});

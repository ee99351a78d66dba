import { describe, expect, it } from "vitest";
import { OPTIONS } from "../../../../agent/job/dut/options.ts";
import { planPhases } from "../../../../agent/job/explain/plan.ts";
import { readCommandLine } from "../../../../agent/job/read-job.ts";

const IMAGE = "dut.image=registry.farm:5000/mesa/vk:1";
const HEX = "ab".repeat(32);

describe("a job", () => {
  it("is read completely", () => {
    const line = [
      "console=ttyS0 quiet ip=dhcp rdut.image=y dut=z",
      `dut.image=docker://registry.farm:5000/mesa/vk:1@sha256:${HEX},composefs=v1-sha256-12:${HEX}`,
      "dut.cache=LABEL=MY_DISK dut.cache_format=yes dut.cache_quota=10G dut.root=composefs",
      `dut.artifact=https://a.farm/x,y.tar.zst,sha256=${HEX.toUpperCase()},to=/opt`,
      "dut.artifact=http://a.farm/b.tar",
      'dut.run="cd /opt; ./go --fast"',
      "dut.env=A=1 dut.env=B=x=y",
      "dut.results=s3://results/job/42/",
      "dut.s3=https://s3.farm:9000,region=eu",
      "dut.insecure=a.farm,10.0.0.1:80 dut.insecure=b.farm",
      "dut.timeout=1h30m dut.on_exit=reboot",
    ].join(" ");
    const { job, errors, warnings } = readCommandLine(line);
    expect(errors).toEqual([]);
    expect(warnings).toEqual([]);
    expect(job).toEqual({
      dialect: "dut",
      root: {
        image: { registry: "registry.farm:5000", repository: "mesa/vk", tag: "1", digest: `sha256:${HEX}` },
        composefsDigest: HEX,
        driver: "composefs",
      },
      cache: { choice: { label: "MY_DISK" }, mayFormat: true, quota: { bytes: 10 * 1024 ** 3 } },
      artifacts: [
        { url: "https://a.farm/x,y.tar.zst", to: "/opt", sha256: HEX },
        { url: "http://a.farm/b.tar", to: "/" },
      ],
      steps: [
        {
          kind: "main",
          env: ["A=1", "B=x=y"],
          entrypoint: [],
          argv: ["/bin/sh", "-c", "cd /opt; ./go --fast"],
        },
      ],
      results: { to: { s3: { bucket: "results", prefix: "job/42" } } },
      s3: { url: "https://s3.farm:9000", region: "eu" },
      insecureHosts: ["a.farm", "10.0.0.1:80", "b.farm"],
      limits: { timeoutMs: 5_400_000 },
      onExit: "reboot",
      ip: "dhcp",
      machine: {},
    });
  });

  it("needs no more than an image", () => {
    const { job } = readCommandLine(IMAGE);
    expect(job).toMatchObject({ steps: [{ kind: "main", env: [] }], onExit: "poweroff", limits: {} });
    expect(job!.steps[0]).not.toHaveProperty("argv");
  });
});

describe("errors", () => {
  it.each([
    ["quiet", ["CMDLINE_MISSING_OPTION"], /"dut.image"/],
    [`${IMAGE} dut.iamge=x`, ["CMDLINE_UNKNOWN_OPTION"], /nearest known one is "dut.image"/],
    [`${IMAGE} dut.timout=5s`, ["CMDLINE_UNKNOWN_OPTION"], /"dut.timeout"/],
    [`${IMAGE} dut.zzzzzzzzzzzzzzzz=1`, ["CMDLINE_UNKNOWN_OPTION"], /nearest known one is "dut\./],
    [`${IMAGE} dut.`, ["CMDLINE_UNKNOWN_OPTION"], /"dut\."/],
    [`${IMAGE} dut.on-exit=halt`, ["CMDLINE_UNKNOWN_OPTION"], /"dut.on_exit"/],
    [`${IMAGE} dut.Image=x/y`, ["CMDLINE_UNKNOWN_OPTION"], /"dut.image"/],
    [`${IMAGE} dut.imagex`, ["CMDLINE_UNKNOWN_OPTION"], /"dut.image"/],
    [`${IMAGE} dut.timeout`, ["CMDLINE_BAD_VALUE"], /has no value/],
    [`${IMAGE} dut.timeout=15`, ["CMDLINE_BAD_VALUE"], /90s/],
    [`${IMAGE} dut.timeout=0s`, ["CMDLINE_BAD_VALUE"], /between/],
    [`${IMAGE} dut.timeout=99d`, ["CMDLINE_BAD_VALUE"], /between/],
    [`${IMAGE} dut.on_exit=suspend`, ["CMDLINE_BAD_VALUE"], /poweroff, reboot, halt/],
    ["dut.image=debian", ["CMDLINE_BAD_VALUE"], /registry host/],
    [`${IMAGE} dut.artifact=ftp://a/b.tar`, ["CMDLINE_BAD_VALUE"], /https:\/\//],
    [`${IMAGE} dut.artifact=https://a/b.tar,to=opt`, ["CMDLINE_BAD_VALUE"], /absolute/],
    [`${IMAGE} dut.artifact=https://a/b.tar,sha256=12`, ["CMDLINE_BAD_VALUE"], /64 hex/],
    [`${IMAGE} dut.artifact=https://a/b.tar,toc=12`, ["CMDLINE_BAD_VALUE"], /"toc=12", which is not 64 hex/],
    [`${IMAGE} dut.artifact=s3://bucket dut.s3=https://s3.farm`, ["CMDLINE_BAD_VALUE"], /s3:\/\/BUCKET\/KEY/],
    [`${IMAGE} dut.artifact=s3://bucket/b.tar`, ["CMDLINE_MISSING_OPTION"], /dut\.s3/],
    [`${IMAGE} dut.artifact=https://a/b.tar,too=/opt`, ["CMDLINE_BAD_VALUE"], /to=, sha256= and toc=/],
    [`${IMAGE} dut.artifact=https://a/b.tar,sha265=12`, ["CMDLINE_BAD_VALUE"], /to=, sha256= and toc=/],
    [`${IMAGE} dut.artifact=https://a/b.tar?x=1,too=/opt`, ["CMDLINE_BAD_VALUE"], /to=, sha256= and toc=/],
    [`${IMAGE} dut.artifact=https://a/b.tar,to=/a,to=/b`, ["CMDLINE_BAD_VALUE"], /more than once/],
    [`${IMAGE} dut.artifact=https://a/b.tar,to=/a/../../b`, ["CMDLINE_BAD_VALUE"], /"\.\."/],
    [`${IMAGE} dut.artifact=https://a/b.tar,to=`, ["CMDLINE_BAD_VALUE"], /absolute/],
    [`${IMAGE} dut.artifact=https://u:hunter2@a/b.tar`, ["CMDLINE_BAD_VALUE"], /password/],
    [`${IMAGE} dut.artifact="https://a/b c.tar"`, ["CMDLINE_BAD_VALUE"], /not a URL/],
    [`${IMAGE} dut.artifact=/b.tar`, ["CMDLINE_BAD_VALUE"], /https:\/\//],
    [`${IMAGE} dut.artifact=http://a.farm/b.tar`, ["FETCH_INSECURE_REFUSED"], /not allowed for "a.farm"/],
    [
      `${IMAGE} dut.artifact=http://a.farm:81/b.tar dut.insecure=a.farm:80`,
      ["FETCH_INSECURE_REFUSED"],
      /a.farm:81/,
    ],
    [`${IMAGE} dut.s3=http://s3.farm`, ["FETCH_INSECURE_REFUSED"], /dut.s3/],
    [`${IMAGE} dut.env=NAME`, ["CMDLINE_BAD_VALUE"], /NAME=VALUE/],
    [`${IMAGE} dut.env="A B=c"`, ["CMDLINE_BAD_VALUE"], /NAME=VALUE/],
    [`${IMAGE} dut.env==x`, ["CMDLINE_BAD_VALUE"], /NAME=VALUE/],
    [`${IMAGE} dut.results=results/x dut.s3=https://s`, ["CMDLINE_BAD_VALUE"], /s3:\/\/BUCKET/],
    [`${IMAGE} dut.results=s3://results/x`, ["CMDLINE_MISSING_OPTION"], /dut.s3/],
    [`${IMAGE} dut.s3=https://key:secret@s3.farm`, ["CMDLINE_BAD_VALUE"], /password/],
    [`${IMAGE} dut.s3=https://s3.farm,regio=eu`, ["CMDLINE_BAD_VALUE"], /region=/],
    [`${IMAGE} dut.s3=ftp://s3.farm`, ["CMDLINE_BAD_VALUE"], /https:\/\//],
    [`${IMAGE} dut.s3=https://s3.farm?x`, ["CMDLINE_BAD_VALUE"], /more than a host/],
    [`${IMAGE} dut.results=s3://Up_per/x dut.s3=https://s`, ["CMDLINE_BAD_VALUE"], /lower-case/],
    [`${IMAGE} dut.results=bad`, ["CMDLINE_BAD_VALUE"], /s3:\/\/BUCKET/],
    [`${IMAGE} dut.insecure=a:0`, ["CMDLINE_BAD_VALUE"], /HOST:PORT/],
    [`${IMAGE} dut.insecure=a:70000`, ["CMDLINE_BAD_VALUE"], /HOST:PORT/],
    [`${IMAGE} ip=10.0.0.256`, ["NETWORK_BAD_PARAMETER"], /10.0.0.256/],
    [`${IMAGE} dut.timeout=1.5h`, ["CMDLINE_BAD_VALUE"], /1h30m/],
    [`${IMAGE} dut.timeout=-5s`, ["CMDLINE_BAD_VALUE"], /90s/],
    [`${IMAGE} dut.on_exit=powerof`, ["CMDLINE_BAD_VALUE"], /nearest is "poweroff"/],
    [`dut.image`, ["CMDLINE_BAD_VALUE"], /has no value/],
    [`dut.image=`, ["CMDLINE_BAD_VALUE"], /./],
    [`${IMAGE} dut.insecure=,`, ["CMDLINE_BAD_VALUE"], /no host/],
    [`${IMAGE} dut.insecure=http://x/`, ["CMDLINE_BAD_VALUE"], /HOST/],
    [`${IMAGE},composefs=12`, ["CMDLINE_BAD_VALUE"], /64 hex/],
    [`${IMAGE} dut.cache=sda1`, ["CMDLINE_BAD_VALUE"], /LABEL/],
    [`${IMAGE} dut.cache=LABEL=`, ["CMDLINE_BAD_VALUE"], /LABEL/],
    [`${IMAGE} dut.cache_format=1`, ["CMDLINE_BAD_VALUE"], /yes, no/],
    [`${IMAGE} dut.cache_quota=0`, ["CMDLINE_BAD_VALUE"], /10G/],
    [`${IMAGE} dut.cache_quota=101%`, ["CMDLINE_BAD_VALUE"], /80%/],
    [`${IMAGE} dut.root=squashfs`, ["CMDLINE_BAD_VALUE"], /composefs, overlay, auto/],
    [`${IMAGE} dut.run=""`, ["CMDLINE_BAD_VALUE"], /no value/],
    [`${IMAGE} dut.run="never closed`, ["CMDLINE_UNTERMINATED_QUOTE"], /never closed/],
    [
      `dut.timeout=x dut.nonsense=1`,
      ["CMDLINE_BAD_VALUE", "CMDLINE_UNKNOWN_OPTION", "CMDLINE_MISSING_OPTION"],
      /./,
    ],
  ])("%s", (line, codes, words) => {
    const { job, errors } = readCommandLine(line);
    expect(errors.map(({ code }) => code)).toEqual(codes);
    expect(errors[0]!.message).toMatch(words);
    expect(errors[0]!.message).not.toContain("hunter2");
    expect(job).toBeUndefined();
  });

  it("shows an example of the option with every bad value", () => {
    for (const { name, form, example } of OPTIONS) {
      const [error] = readCommandLine(form === undefined ? `${name}=x` : `${name}=`).errors;
      expect(error).toMatchObject({ code: "CMDLINE_BAD_VALUE", hint: `Write it as ${example}` });
    }
  });

  it("has none for the examples of the table", () => {
    const digest = `sha256:${HEX}`;
    for (const { name, example } of OPTIONS) {
      const word = example.replace("sha256:…", digest);
      const root = { "dut.image": "", "dut.rootfs": "dut.run=x" }[name] ?? IMAGE;
      const others = `${root} dut.s3=https://s dut.filesystem=gateway,src=/dev/sda1`;
      expect(readCommandLine(`${others} ${word}`).errors).toEqual([]);
    }
  });
});

describe("warnings", () => {
  it.each([
    [`${IMAGE} dut.timeout=1s dut.timeout=2s`, /more than once/],
    [`${IMAGE} proxy=https://u:hunter2@a/b.tar`, /user name or password/],
    [`${IMAGE} dut.env=CI_JOB_TOKEN=hunter2`, /named like a secret/],
    [`${IMAGE} dut.end dut.timeout=5s`, /dut.timeout follows dut.end/],
    [`${IMAGE} -- dut.run=ls`, /dut.run is ignored: words after "--"/],
    [`${IMAGE} dut.artifact=https://a/b.tar?X-Amz-Signature=hunter2`, /signature/],
  ])("%s", (line, words) => {
    const { warnings, errors } = readCommandLine(line);
    expect(errors).toEqual([]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(words);
    expect(warnings[0]).not.toContain("hunter2");
  });
});

describe("the plan", () => {
  it("lists every phase in order, also those with nothing to do", () => {
    const { job } = readCommandLine(`${IMAGE} dut.artifact=https://a/b.tar?sig=hunter2`);
    const plan = planPhases(job!);
    expect(plan.map(({ name }) => name)).toEqual([
      "machine",
      "fetch",
      "assemble",
      "artifact",
      "run",
      "upload",
      "end",
    ]);
    expect(plan[3]!.does).toEqual(["unpack https://a/b.tar?sig=[hidden] at /"]);
    expect(plan[5]!.does).toEqual([]);
  });
});

it.each([
  ["BOOTIF=01-AA-bb-cc-dd-ee-0f", "aa:bb:cc:dd:ee:0f"],
  ["BOOTIF=aa:bb:cc:dd:ee:0f", "aa:bb:cc:dd:ee:0f"],
  ["BOOTIF=20-aa-bb-cc-dd-ee-ff-00-11", undefined],
  ["BOOTIF=eth0", undefined],
])("reads the interface of the boot: %s", (word, address) => {
  for (const line of [`${IMAGE} dut.end ${word}`, `b2c.run=h:1/i ${word}`, `root=/dev/nfs ${word}`]) {
    const { job, errors, warnings } = readCommandLine(line);
    expect(errors).toEqual([]);
    expect(job?.bootInterface).toBe(address);
    expect(warnings.filter((text) => text.startsWith("BOOTIF"))).toHaveLength(address === undefined ? 1 : 0);
  }
});

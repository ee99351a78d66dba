/** boot2container's options one by one: what each means, what causes a warning, and what is refused. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseB2cLine } from "../../../../agent/job/b2c/command-line.ts";
import { readCommandLine } from "../../../../agent/job/read-job.ts";

const RUN = "b2c.run=docker://h:1/i";
const readLine = (line: string) => {
  const { job, ...rest } = readCommandLine(line);
  return { job: job!, ...rest };
};
const read = (line: string) => readLine(`${line} ${RUN}`);

describe("words", () => {
  it.each([
    [
      'a="b c" "d=e f" g="h"',
      [
        ["a", "b c"],
        ["d", "e f"],
        ["g", "h"],
      ],
    ],
    ['a=b"c d"e', [["a", "bc de"]]],
    [
      "a=b=c  d\n\te",
      [
        ["a", "b=c"],
        ["d", undefined],
        ["e", undefined],
      ],
    ],
    [
      'a="say \\"hi\\" \\\\\\"" b',
      [
        ["a", 'say "hi" \\\\"'],
        ["b", undefined],
      ],
    ],
    // An old line: the backslash is a plain character.
    [
      'a="b\\" c',
      [
        ["a", "b\\"],
        ["c", undefined],
      ],
    ],
    ['a=\\"b', [["a", "\\b"]]],
    ['a="x\ny"', [["a", "x\ny"]]],
    [
      "a='b c'",
      [
        ["a", "'b"],
        ["c'", undefined],
      ],
    ],
    [
      'a="" b',
      [
        ["a", ""],
        ["b", undefined],
      ],
    ],
    ['"" a', [["a", undefined]]],
  ])("%j", (line, words) => {
    expect(parseB2cLine(line).parameters.map(({ name, value }) => [name, value])).toEqual(words);
  });

  it("splits a repeatable value at \\n, unless a part is not valid shell text", () => {
    expect(read("b2c.volume=a,overwrite\\nb").job.volumes?.map(({ name }) => name)).toEqual(["a", "b"]);
    const { steps } = readLine(`b2c.run="h:1/i printf 'a\\nb'"`).job;
    expect(steps.map(({ argv }) => argv)).toEqual([["printf", "a\\nb"]]);
    const two = readLine(`b2c.run="h:1/i a\\nh:1/i b"`).job;
    expect(two.steps.map(({ argv }) => argv)).toEqual([["a"], ["b"]]);
  });

  it("expands the other escapes of repeatable values only", () => {
    const line = `b2c.run="h:1/i printf 'a\\tb\\\\\\\\c\\x41\\0102\\q'" b2c.shutdown_cmd="echo a\\tb"`;
    const { job } = readLine(line);
    expect(job.steps[0]?.argv).toEqual(["printf", "a\tb\\\\cAB\\q"]);
    expect(job.machine?.end?.poweroffCommand).toBe("echo a\\tb");
  });
});

describe("options", () => {
  it.each([
    [
      "b2c.service=h:1/s b2c.post_container=h:1/p",
      { steps: [{ kind: "service" }, { kind: "post" }, { kind: "main" }] },
    ],
    [
      "b2c.run_service=h:1/s b2c.run_post=h:1/p",
      { steps: [{ kind: "service" }, { kind: "post" }, { kind: "main" }] },
    ],
    ["b2c.pipefail", { stopsAtFailure: true }],
    ["b2c.cache_device=none", { cache: { choice: "none" } }],
    ["b2c.cache_device=reset", { cache: { choice: "reset", mayFormat: false } }],
    ["b2c.cache_device=auto dut.cache_format=yes", { cache: { choice: "auto", mayFormat: true } }],
    ["b2c.cache_device=/dev/sda1", { cache: { choice: { device: "/dev/sda1" } } }],
    [
      "b2c.filesystem=myFS,type=nfs,src=10.0.0.1:/nfs,opts=opt1|opt2 b2c.cache_device=myFS",
      {
        cacheFileSystem: "myFS",
        fileSystems: [{ name: "myFS", type: "nfs", source: "10.0.0.1:/nfs", options: ["opt1", "opt2"] }],
      },
    ],
    [
      "dut.log=syslog+tcp://logs.farm dut.netconsole=logs.farm",
      {
        logTo: { syslog: { host: "logs.farm", port: 601, protocol: "tcp" } },
        machine: { netconsole: { host: "logs.farm", port: 6666 } },
      },
    ],
    ["b2c.swap=/dev/nbd1", { machine: { swap: { device: "/dev/nbd1" } } }],
    ["b2c.swap=8G b2c.cache_device=auto", { machine: { swap: { sizeBytes: 8 * 1024 ** 3 } } }],
    [
      "b2c.nbd=/dev/nbd0,host=10.0.0.1,port=10809,connections=4 b2c.nbd=/dev/nbd1,host=h",
      {
        machine: {
          networkBlockDevices: [
            { device: "/dev/nbd0", host: "10.0.0.1", port: 10809, connections: 4 },
            { device: "/dev/nbd1", host: "h", port: 10809, connections: 1 },
          ],
        },
      },
    ],
    [
      'b2c.storage="additionalimagestores=store" b2c.filesystem=store,src=10.0.0.1:/images',
      { machine: { imageStores: ["store"] } },
    ],
    ['b2c.proxy="https=http://10.0.0.1:8888"', { machine: { proxies: { https: "http://10.0.0.1:8888/" } } }],
    [
      "b2c.iface=eth0,address=10.0.0.2/24,gateway=10.0.0.1,route=10.1.0.0/16:10.0.0.3,nameserver=1.1.1.1,nameserver=fd00::1,forward b2c.iface=eth1,dhcp",
      {
        machine: {
          interfaces: [
            {
              name: "eth0",
              asksDhcp: false,
              addresses: ["10.0.0.2/24"],
              gateway: "10.0.0.1",
              routes: [{ to: "10.1.0.0/16", via: "10.0.0.3" }],
              nameservers: ["1.1.1.1", "fd00::1"],
              forwards: true,
            },
            { name: "eth1", asksDhcp: true },
          ],
        },
      },
    ],
    ["b2c.ntp_peer=auto", { machine: { ntp: "auto" } }],
    ["b2c.hostname=dut-7 b2c.keymap=fr", { machine: { hostname: "dut-7", keymap: "fr" } }],
    ["b2c.insmods=a.ko,b.ko", { machine: { moduleFiles: ["a.ko", "b.ko"] } }],
    [
      "ip=dhcp dut.timeout=15m dut.on_exit=reboot",
      { ip: "dhcp", limits: { timeoutMs: 900_000 }, onExit: "reboot" },
    ],
    ["b2c.reboot_cmd=reboot", { machine: { end: { rebootCommand: "reboot" } } }],
    [
      "dut.s3=http://s dut.insecure=s dut.results=s3://bucket/x",
      { results: { to: { s3: { bucket: "bucket", prefix: "x" } } } },
    ],
    ["b2c.minio=gw,http://10.0.0.1:9000,a,b", { insecureHosts: ["10.0.0.1:9000"] }],
  ])("%s", (line, expected) => {
    const { job, errors } = read(line);
    expect(errors).toEqual([]);
    expect(job).toMatchObject(expected);
  });
});

describe("volumes", () => {
  const ALIAS = "b2c.minio=gw,http://10.0.0.1,a,b";
  it.each([
    ["v", {}],
    [
      "v,mirror=gw/b/p/q,pull_on=container_start|pipeline_start",
      { pull: { prefix: "p/q", on: ["container_start", "pipeline_start"] }, push: { on: [] } },
    ],
    ["v,pull_from=gw/a,push_to=gw/b", { pull: { bucket: "a" }, push: { bucket: "b" } }],
    [
      "v,overwrite,remove,preserve,exclude=a,exclude=b",
      { mirrorOptions: { overwrite: true, remove: true, preserve: true, exclude: ["a", "b"] } },
    ],
    [
      "v,encrypt_key=k=,fscrypt_key=a==,fscrypt_reset_key",
      { mirrorOptions: { encryptKey: "k=" }, fscryptKey: "a==", resetsFscryptKey: true },
    ],
    ["v,expiration=never", { expiration: "never" }],
  ])("%s", (value, expected) => {
    const { job, errors } = read(`${ALIAS} b2c.volume="${value}"`);
    expect(errors).toEqual([]);
    expect(job.volumes).toMatchObject([{ name: "v", ...expected }]);
  });

  it("is not mirrored with one half only", () => {
    const { job, warnings } = read(`b2c.volume=v,push_to=gw/b,push_on=changes`);
    expect(job.volumes?.[0]).not.toHaveProperty("push");
    expect(warnings[0]).toMatch(/both pull_from and push_to/);
  });
});

describe("warnings", () => {
  it.each([
    ["b2c.runs=x", /nearest known option is "b2c.run"/],
    ["b2c.login=x", /undocumented and ignored/],
    ["b2c.pipefail=1", /takes no value/],
    ["b2c.hostname", /is ignored: it has no value/],
    ["b2c.hostname=a b2c.hostname=b", /the last one counts/],
    ["b2c.volume=v,pull=x", /parameter pull is unknown.*"pull_on"/],
    ["b2c.volume=v,pull_on=pipline_start", /"pipeline_start"/],
    ["b2c.volume=v,push_on=changes|pipeline_end", /are ignored/],
    ["b2c.cache_device=myFS", /runs without a cache/],
    ["b2c.swap=8G", /runs without swap/],
    ['b2c.shutdown_cmd="ipmitool power off"', /runs "ipmitool".*ends without running it/],
    ['b2c.reboot_cmd="echo x > /dev/kmsg"', /">", which needs a shell/],
    ['b2c.run="h:1/i echo $HOME"', /\$HOME outside of single quotes/],
    ['b2c.run="-e HOME h:1/i"', /--env HOME without a value/],
    ['b2c.run="-t\nh:1/i ls"', /line end outside of quotes/],
    ["b2c.run=h:1/i b2c.volume=v,fscrypt_key=hunter2", /holds its key/],
  ])("%s", (line, words) => {
    const { warnings, errors } = read(line);
    expect(errors).toEqual([]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(words);
    expect(warnings[0]).not.toContain("hunter2");
  });
});

describe("goes on where boot2container goes on:", () => {
  it.each<[line: string, words: RegExp, part: object]>([
    ["b2c.volume=", /b2c.volume: has no value/, {}],
    ["b2c.volume=v,exclude=,mirror=", /"exclude" has no value/, { volumes: [{ name: "v" }] }],
    ["b2c.volume=v,pull_on=", /"pull_on" has no value/, { volumes: [{ name: "v" }] }],
    ["b2c.volume=v,expiration=soon", /"expiration=soon" is unknown/, { volumes: [{ expiration: "never" }] }],
    ["b2c.volume=v,mirror=gw/b", /no b2c.minio has that name/, { volumes: [{ name: "v" }] }],
    ["b2c.volume=v,filesystem=f", /no b2c.filesystem has that name/, { volumes: [{ name: "v" }] }],
    ["b2c.filesystem=f,type=nfs", /src=/, {}],
    ["b2c.filesystem=", /it has no value/, {}],
    ["b2c.minio=gw,http://10.0.0.1,hunter2", /SECRET_KEY/, {}],
    ["b2c.minio=gw,10.0.0.1,hunter2,hunter2", /https:\/\//, {}],
    [
      "b2c.minio=gw,http://10.0.0.1,hunter2,hunter2,us",
      /follows the secret key/,
      { s3Aliases: [{ name: "gw" }] },
    ],
    ["b2c.minio=", /it has no value/, {}],
    ["b2c.cache_device=/tmp", /below \/dev/, {}],
    ["b2c.cache_device=/dev/../tmp", /below \/dev/, {}],
    ["b2c.cache_device=", /it has no value/, {}],
    ["b2c.swap=many", /size "many"/, {}],
    ["b2c.nbd=/dev/sda,host=h", /nbdN/, {}],
    ["b2c.nbd=/dev/nbd0,port=1", /host=/, {}],
    [
      "b2c.iface=eth0,address=10.0.0",
      /"address=10.0.0" is ignored/,
      { machine: { interfaces: [{ addresses: [] }] } },
    ],
    ["b2c.iface=eth0,route=10.1.0.0/16", /NET\/LENGTH:VIA/, { machine: { interfaces: [{ routes: [] }] } }],
    [
      "b2c.iface=eth0,nameserver=dns.example",
      /not an address/,
      { machine: { interfaces: [{ nameservers: [] }] } },
    ],
    ["b2c.iface=an-interface-name-that-is-long", /not an interface name/, {}],
    ["b2c.poweroff_delay=soon", /a time of up to/, {}],
    ["b2c.poweroff_delay=", /it has no value/, {}],
    ["b2c.proxy=10.0.0.1", /https=URL/, {}],
    ["b2c.ntp_peer=a/b", /not a host/, {}],
    ["b2c.hostname=a/b", /not a valid host name/, {}],
    ["b2c.hostname=", /it has no value/, {}],
    ["b2c.keymap=a/b", /name of a keymap/, {}],
    ["ip=300.0.0.1", /ip= is ignored: .*300/, {}],
  ])("%s", (line, words, part) => {
    const { job, errors, warnings } = read(line);
    expect(errors).toEqual([]);
    expect(warnings.join("\n")).toMatch(words);
    expect(warnings.join("\n")).not.toContain("hunter2");
    expect(job).toMatchObject({ ...part, steps: [{ kind: "main" }] });
  });

  it.each<[line: string, part: object]>([
    ["b2c.hostname=gfx10_dut-1", { machine: { hostname: "gfx10_dut-1" } }],
    ["b2c.poweroff_delay=0.5", { machine: { end: { poweroffDelayMs: 500 } } }],
    ["b2c.poweroff_delay=2m", { machine: { end: { poweroffDelayMs: 120_000 } } }],
    [
      "b2c.cache_device=/dev/disk/by-id/usb-A+B_x@1-0:0",
      { cache: { choice: { device: "/dev/disk/by-id/usb-A+B_x@1-0:0" } } },
    ],
    [
      "b2c.iface=eth0,address=10.0.0.2,route=10.1.0.7:10.0.0.3",
      {
        machine: {
          interfaces: [{ addresses: ["10.0.0.2/32"], routes: [{ to: "10.1.0.7/32", via: "10.0.0.3" }] }],
        },
      },
    ],
  ])("without a warning: %s", (line, part) => {
    const { job, errors, warnings } = read(line);
    expect([errors, warnings]).toEqual([[], []]);
    expect(job).toMatchObject(part);
  });
});

describe("errors", () => {
  it.each([
    ["b2c.volume=v,mirror=gw", "CMDLINE_BAD_VALUE", /ALIAS\/BUCKET/],
    ["b2c.volume=,mirror=gw/b", "CMDLINE_BAD_VALUE", /its name/],
    ["b2c.volume=v,fscrypt_key", "CMDLINE_BAD_VALUE", /without a value/],
    ["b2c.extra_args_url=ftp://x", "CMDLINE_BAD_VALUE", /https:\/\//],
    ["dut.run=ls", "CMDLINE_MIXED_DIALECTS", /dut.run/],
    ["dut.nonsense", "CMDLINE_UNKNOWN_OPTION", /dut.nonsense/],
    ["dut.results=s3://bucket/x", "CMDLINE_MISSING_OPTION", /dut.s3/],
  ])("%s", (line, code, words) => {
    const { errors } = read(line);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ code });
    expect(errors[0]?.message).toMatch(words);
    expect(errors[0]?.message).not.toContain("hunter2");
  });

  it("reports an open quote", () => {
    const { errors } = readLine('b2c.pipefail b2c.run="h:1/i');
    expect(errors).toMatchObject([{ code: "CMDLINE_UNTERMINATED_QUOTE" }]);
  });
});

it("documents the options of ours that b2c.* can be combined with", () => {
  const page = readFileSync(new URL("../../../../docs/explain.md", import.meta.url), "utf8");
  const names = read("dut.run=ls").errors[0]!.hint.match(/dut\.[\w.]+/g)!;
  expect(names).toContain("dut.console");
  for (const name of names)
    expect(page).toContain(`\`${name.replace(/^dut\.timeout\..*/, "dut.timeout.PHASE")}\``);
});

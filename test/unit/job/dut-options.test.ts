/** Our own options beyond the plain case: what each does with valid values, and how it refuses invalid ones. */
import { describe, expect, it } from "vitest";
import { describeLine } from "../../../agent/job/explain/describe-job.ts";
import { planPhases } from "../../../agent/job/explain/plan.ts";
import { readCommandLine } from "../../../agent/job/read-job.ts";

const IMAGE = "dut.image=h:1/i";
const HEX = "ab".repeat(32);
const read = (line: string) => readCommandLine(line);

describe("a root", () => {
  it.each([
    [
      `dut.rootfs=https://a/base.tar.zst,sha256=${HEX} dut.rootfs=s3://bkt/over.tar,toc=${HEX} dut.s3=https://s dut.root=overlay`,
      {
        archives: [
          { url: "https://a/base.tar.zst", sha256: HEX },
          { url: "s3://bkt/over.tar", tableSha256: HEX },
        ],
        driver: "overlay",
      },
    ],
    [
      `dut.rootfs=http://a/base.tar,sha256=${HEX}`,
      { archives: [{ url: "http://a/base.tar", sha256: HEX }], driver: "auto" },
    ],
    [
      "dut.rootfs=http://a:81/base.tar dut.insecure=a:81",
      { archives: [{ url: "http://a:81/base.tar" }], driver: "auto" },
    ],
    [
      "dut.rootfs=nfs://10.0.0.1/srv/base.tar.xz",
      { archives: [{ url: "nfs://10.0.0.1/srv/base.tar.xz" }], driver: "auto" },
    ],
    ["dut.rootfs=file:/base.tgz", { archives: [{ url: "file:///base.tgz" }], driver: "auto" }],
    ["dut.rootfs=file:///rootfs/", { directory: "/rootfs" }],
    [
      "dut.rootfs=nfs://10.0.0.1/srv/root",
      { nfs: { server: "10.0.0.1", path: "/srv/root", options: [], isWritable: false } },
    ],
    [
      "dut.rootfs=nfs://nas.farm:2050/srv/a%2Cb,rw,vers=4.2,opts=hard|proto=tcp",
      {
        nfs: {
          server: "nas.farm",
          path: "/srv/a,b",
          version: "4.2",
          options: ["port=2050", "hard", "proto=tcp"],
          isWritable: true,
        },
      },
    ],
    [
      "dut.rootfs=nfs://[fd00::1]/srv,ro",
      { nfs: { server: "[fd00::1]", path: "/srv", options: [], isWritable: false } },
    ],
  ])("%s", (line, root) => {
    const { dialect, job, errors } = read(`${line} dut.run=x`);
    expect(errors).toEqual([]);
    expect(dialect).toBe("dut");
    expect(job?.root).toEqual(root);
    expect(job?.steps).toEqual([{ kind: "main", env: [], entrypoint: [], argv: ["/bin/sh", "-c", "x"] }]);
  });

  it("reports dut.root where it has no effect", () => {
    expect(read("dut.rootfs=file:/r dut.run=x dut.root=overlay").warnings).toEqual([
      expect.stringContaining("dut.root has no effect"),
    ]);
  });

  it("wins over a root of the kernel's own", () => {
    expect(read("root=/dev/nfs nfsroot=10.0.0.1:/x dut.rootfs=file:/r dut.run=x")).toMatchObject({
      dialect: "dut",
      errors: [],
      job: { root: { directory: "/r" } },
    });
  });
});

describe("what runs", () => {
  it.each([
    [`${IMAGE} dut.init=/sbin/init`, [{ isInit: true, entrypoint: [], argv: ["/sbin/init"] }]],
    [`${IMAGE} dut.init="/init --log 'a b'"`, [{ isInit: true, argv: ["/init", "--log", "a b"] }]],
    [
      `${IMAGE} dut.shell=yes dut.env=PS1=#`,
      [
        {
          entrypoint: [],
          argv: ["/bin/sh"],
          env: ["PS1=lava-shell: ", "PS1=#"],
          container: { hasTerminal: true, keepsInputOpen: true },
        },
      ],
    ],
    [`${IMAGE} dut.shell=no dut.run=x`, [{ argv: ["/bin/sh", "-c", "x"] }]],
    [
      `${IMAGE} dut.run=x dut.mount=cache:/c dut.mount=/dev/dri:/dev/dri:ro`,
      [
        {
          volumes: [
            { kind: "volume", source: "cache", target: "/c", options: [] },
            { kind: "bind", source: "/dev/dri", target: "/dev/dri", options: ["ro"] },
          ],
        },
      ],
    ],
    [
      `${IMAGE} dut.env=A=1 dut.container="-e B=2 --user 7 -w /w" dut.container="--cap-drop ALL -v x:/x"`,
      [
        {
          kind: "main",
          env: ["A=1", "B=2"],
          workdir: "/w",
          container: { user: "7", droppedCapabilities: ["ALL"] },
          volumes: [{ kind: "volume", source: "x", target: "/x", options: [] }],
        },
      ],
    ],
    [
      'dut.step="-e A=1 h:1/check sh -c \'a && b\'" dut.post=h:1/p dut.service="h:1/s x"',
      [
        { kind: "main", image: { repository: "check" }, env: ["A=1"], argv: ["sh", "-c", "a && b"] },
        { kind: "post", image: { repository: "p" } },
        { kind: "service", image: { repository: "s" }, argv: ["x"] },
      ],
    ],
    // The root's own step has the position of its option; without one it is the first.
    [
      `dut.step=h:1/a ${IMAGE} dut.run=x dut.step=h:1/b`,
      [{ image: {} }, { argv: ["/bin/sh", "-c", "x"] }, { image: {} }],
    ],
    [`dut.step=h:1/a ${IMAGE}`, [{ kind: "main", env: [] }, { image: {} }]],
  ])("%s", (line, steps) => {
    const { job, errors, warnings } = read(line);
    expect(errors).toEqual([]);
    expect(warnings).toEqual([]);
    expect(job?.steps).toMatchObject(steps);
  });

  it("has no root where every step has an image", () => {
    expect(read("dut.step=h:1/a").job).toMatchObject({ root: undefined, steps: [{ kind: "main" }] });
  });

  it("may use a registry without a known certificate", () => {
    expect(read('dut.step="--tls-verify=false h:1/a"').job?.insecureHosts).toEqual(["h:1"]);
  });
});

describe("what is kept", () => {
  it.each([
    ["dut.results=https://s3.farm/mesa/42/", { results: { to: { put: "https://s3.farm/mesa/42" } } }],
    ["dut.results=http://s3.farm/42 dut.insecure=s3.farm", { results: { to: { put: "http://s3.farm/42" } } }],
    [
      "dut.results=nfs://nas/srv/results,vers=3,opts=nolock",
      {
        results: { to: { nfs: { server: "nas", path: "/srv/results", version: "3", options: ["nolock"] } } },
      },
    ],
    [
      "dut.volume=v,mirror=s3/bkt/x,exclude=*.tmp,preserve dut.s3=https://s",
      {
        volumes: [
          {
            name: "v",
            pull: { alias: "s3", bucket: "bkt", prefix: "x", on: ["pipeline_start"] },
            push: { alias: "s3", on: ["pipeline_end"] },
            mirrorOptions: { exclude: ["*.tmp"], preserve: true },
          },
        ],
      },
    ],
    [
      "dut.volume=v,pull_from=gw/bkt,pull_on=container_start dut.s3_alias=gw,https://s,A,B",
      {
        volumes: [{ pull: { alias: "gw", on: ["container_start"] } }],
        s3Aliases: [{ name: "gw", url: "https://s", accessKey: "A", secretKey: "B" }],
      },
    ],
    [
      "dut.volume=v,filesystem=disk,expiration=pipeline_end dut.filesystem=disk,src=/dev/sda1,type=ext4,opts=ro|noatime",
      {
        volumes: [{ fileSystem: "disk", expiration: "pipeline_end" }],
        fileSystems: [{ name: "disk", source: "/dev/sda1", type: "ext4", options: ["ro", "noatime"] }],
      },
    ],
    [
      "dut.cache=FILESYSTEM=d dut.filesystem=d,src=/dev/sda1",
      { cacheFileSystem: "d", cache: { choice: "none" } },
    ],
    [
      "dut.image_store=a|b dut.filesystem=a,src=x dut.filesystem=b,src=y",
      { machine: { imageStores: ["a", "b"] } },
    ],
    ["dut.swap=1G,swappiness=10", { machine: { swap: { sizeBytes: 1024 ** 3, swappiness: 10 } } }],
    ["dut.swap=/dev/nbd1", { machine: { swap: { device: "/dev/nbd1" } } }],
    [
      "dut.nbd=/dev/nbd0,host=10.0.0.1,connections=4",
      {
        machine: {
          networkBlockDevices: [{ device: "/dev/nbd0", host: "10.0.0.1", port: 10_809, connections: 4 }],
        },
      },
    ],
  ])("%s", (line, expected) => {
    const { job, errors, warnings } = read(`${IMAGE} ${line}`);
    expect(errors).toEqual([]);
    expect(warnings.filter((warning) => !warning.includes("dut.s3_alias holds the keys"))).toEqual([]);
    expect(job).toMatchObject(expected);
  });

  it("has one half of a mirror where only that is requested", () => {
    const [volume] = read(`${IMAGE} dut.volume=v,push_to=s3/bkt dut.s3=https://s`).job!.volumes!;
    expect(volume?.pull).toBeUndefined();
    expect(volume?.push?.on).toEqual(["pipeline_end"]);
  });
});

describe("the machine", () => {
  it.each([
    [
      "dut.iface=eth0,address=10.0.0.2/24,gateway=10.0.0.1,forward",
      {
        machine: {
          interfaces: [{ name: "eth0", addresses: ["10.0.0.2/24"], gateway: "10.0.0.1", forwards: true }],
        },
      },
    ],
    ["dut.ntp=auto", { machine: { ntp: "auto" } }],
    ["dut.ntp=ntp.farm", { machine: { ntp: { host: "ntp.farm" } } }],
    ["dut.hostname=navi31-7", { machine: { hostname: "navi31-7" } }],
    ["dut.keymap=fr", { machine: { keymap: "fr" } }],
    ["dut.modules=a,b dut.modules=c", { machine: { modules: ["a", "b", "c"] } }],
    ["dut.module_files=b.ko,a.ko", { machine: { moduleFiles: ["b.ko", "a.ko"] } }],
    [
      "dut.mirror=docker.io=https://proxy.farm:5000 dut.mirror=h:1=https://b/cache/",
      {
        mirrors: [
          { registry: "docker.io", url: "https://proxy.farm:5000" },
          { registry: "h:1", url: "https://b/cache" },
        ],
      },
    ],
    ["dut.proxy=https=http://p:3128", { machine: { proxies: { https: "http://p:3128/" } } }],
    ["dut.console=ttyUSB0", { consolePorts: [{ device: "ttyUSB0", baudRate: 115200 }] }],
    [
      "dut.console=ttyUSB0,9600 dut.console=/dev/ttyS1,921600n8 dut.console=ttyUSB0,57600",
      {
        consolePorts: [
          { device: "ttyS1", baudRate: 921600 },
          { device: "ttyUSB0", baudRate: 57600 },
        ],
      },
    ],
    ["dut.color=no", { color: "no" }],
    ["dut.log=tcp://10.0.0.1:5555", { logTo: { tcp: { host: "10.0.0.1", port: 5555 } } }],
    ["dut.log=tcp://[fd00::1]:1", { logTo: { tcp: { host: "fd00::1", port: 1 } } }],
    ["dut.log=syslog://logs.farm", { logTo: { syslog: { host: "logs.farm", port: 514, protocol: "udp" } } }],
    ["dut.log=syslog+tcp://h", { logTo: { syslog: { host: "h", port: 601, protocol: "tcp" } } }],
    ["dut.log=syslog+tcp://[::1]:6514", { logTo: { syslog: { host: "::1", port: 6514, protocol: "tcp" } } }],
    ["dut.log=https://logs.farm/job/42?x=1", { logTo: { http: "https://logs.farm/job/42?x=1" } }],
    ["dut.log=http://h:80/a/ dut.insecure=h", { logTo: { http: "http://h/a/" }, insecureHosts: ["h"] }],
    [
      "dut.log=s3://logs/jobs/42/ dut.s3=https://s3.farm",
      { logTo: { s3: { bucket: "logs", prefix: "jobs/42" } } },
    ],
    ["dut.netconsole=10.0.0.1", { machine: { netconsole: { host: "10.0.0.1", port: 6666 } } }],
    ["dut.netconsole=logs.farm:514", { machine: { netconsole: { host: "logs.farm", port: 514 } } }],
    [
      'dut.poweroff_delay=15s dut.poweroff_command="sync; poweroff -f" dut.reboot_command="reboot -f"',
      {
        machine: {
          end: { poweroffDelayMs: 15_000, poweroffCommand: "sync; poweroff -f", rebootCommand: "reboot -f" },
        },
      },
    ],
    ["dut.pipefail=yes", { stopsAtFailure: true }],
    ["dut.artifact=file:/a.tar", { artifacts: [{ url: "file:///a.tar", to: "/" }] }],
    ["dut.artifact=nfs://nas/srv/a.tar,to=/opt", { artifacts: [{ url: "nfs://nas/srv/a.tar", to: "/opt" }] }],
    [`dut.artifact=http://a/b.tar,sha256=${HEX}`, { artifacts: [{ url: "http://a/b.tar", sha256: HEX }] }],
  ])("%s", (line, expected) => {
    const { job, errors, warnings } = read(`${IMAGE} ${line}`);
    expect(errors).toEqual([]);
    expect(warnings).toEqual([]);
    expect(job).toMatchObject(expected);
  });
});

describe("refused", () => {
  it.each([
    ["dut.rootfs=file:/r", "CMDLINE_MISSING_OPTION", /no "dut.run"/],
    ["dut.rootfs=https://a/b.tar", "CMDLINE_MISSING_OPTION", /no "dut.run"/],
    ["dut.rootfs=ftp://a/b.tar dut.run=x", "CMDLINE_BAD_VALUE", /https:\/\//],
    ["dut.rootfs=http://a/b.tar dut.run=x", "FETCH_INSECURE_REFUSED", /not allowed for "a"/],
    ["dut.rootfs=http://a/b.tar,sha256=12 dut.run=x", "CMDLINE_BAD_VALUE", /64 hex/],
    [`dut.rootfs=http://a/b.tar,toc=${HEX} dut.run=x`, "FETCH_INSECURE_REFUSED", /dut.rootfs/],
    ["dut.rootfs=s3://bkt/b.tar dut.run=x", "CMDLINE_MISSING_OPTION", /dut.s3/],
    ["dut.rootfs=s3://bkt dut.run=x", "CMDLINE_BAD_VALUE", /s3:\/\/BUCKET\/KEY/],
    ["dut.rootfs=rootfs dut.run=x", "CMDLINE_BAD_VALUE", /https:\/\//],
    ["dut.rootfs=file:rootfs dut.run=x", "CMDLINE_BAD_VALUE", /absolute/],
    ["dut.rootfs=file:/a/../b dut.run=x", "CMDLINE_BAD_VALUE", /"\.\."/],
    ["dut.rootfs=file:/a/%2e%2e/b dut.run=x", "CMDLINE_BAD_VALUE", /"\.\."|has the path/],
    ["dut.rootfs=file:/r,rw dut.run=x", "CMDLINE_BAD_VALUE", /no sub-options/],
    ["dut.rootfs=nfs:///srv dut.run=x", "CMDLINE_BAD_VALUE", /nfs:\/\/SERVER/],
    ["dut.rootfs=nfs://h/srv,vers=2 dut.run=x", "CMDLINE_BAD_VALUE", /version 2/],
    ["dut.rootfs=nfs://h/srv,wr dut.run=x", "CMDLINE_BAD_VALUE", /",wr"/],
    ["dut.rootfs=nfs://u:hunter2@h/srv dut.run=x", "CMDLINE_BAD_VALUE", /user name/],
    [
      "dut.rootfs=file:/r dut.rootfs=https://a/b.tar dut.run=x",
      "CMDLINE_BAD_VALUE",
      /a directory is a complete root/,
    ],
    ["dut.rootfs=nfs://h/a dut.rootfs=nfs://h/b dut.run=x", "CMDLINE_BAD_VALUE", /an NFS export/],
    [`${IMAGE} dut.rootfs=file:/r`, "CMDLINE_BAD_VALUE", /together with "dut.image"/],
    [`${IMAGE} dut.run=x dut.init=/init`, "CMDLINE_BAD_VALUE", /"dut.init" together with "dut.run"/],
    [`${IMAGE} dut.init=/init dut.shell=yes`, "CMDLINE_BAD_VALUE", /"dut.shell" together with "dut.init"/],
    [`${IMAGE} dut.init=init`, "CMDLINE_BAD_VALUE", /absolute/],
    [`${IMAGE} dut.init="/init 'x"`, "CMDLINE_BAD_VALUE", /never closed/],
    [`${IMAGE} dut.shell=1`, "CMDLINE_BAD_VALUE", /yes, no/],
    [`${IMAGE} dut.mount=x`, "CMDLINE_BAD_VALUE", /absolute/],
    [`${IMAGE} dut.mount=../x:/y`, "CMDLINE_BAD_VALUE", /source/],
    [`${IMAGE} dut.container="--frob"`, "CMDLINE_BAD_VALUE", /flag "--frob" is unknown/],
    [`${IMAGE} dut.container="--user 1 image"`, "CMDLINE_BAD_VALUE", /"image" is not a flag/],
    [`${IMAGE} dut.container="-e NAME"`, "CMDLINE_BAD_VALUE", /NAME=VALUE/],
    ['dut.step="--frob h:1/i"', "CMDLINE_BAD_VALUE", /"dut.step=--frob h:1\/i": its flag "--frob"/],
    ['dut.step="h:1/i; x"', "CMDLINE_BAD_VALUE", /outside of quotes/],
    ["dut.step=H/I", "CMDLINE_BAD_VALUE", /./],
    ["dut.service=h:1/i", "CMDLINE_MISSING_OPTION", /dut.image/],
    ["dut.step=h:1/i dut.run=x", "CMDLINE_MISSING_OPTION", /use "dut.run"/],
    ["dut.step=h:1/i dut.artifact=https://a/b.tar", "CMDLINE_MISSING_OPTION", /use "dut.artifact"/],
    [`${IMAGE} dut.results=https://s/x?y`, "CMDLINE_BAD_VALUE", /more than a host/],
    [`${IMAGE} dut.results=http://s/x`, "FETCH_INSECURE_REFUSED", /dut.results/],
    [`${IMAGE} dut.results=nfs://s/x,rw`, "CMDLINE_BAD_VALUE", /",rw"/],
    [`${IMAGE} dut.volume=v,mirror=s3/bkt`, "CMDLINE_BAD_VALUE", /"s3" of volume "v"/],
    [
      `${IMAGE} dut.volume=v,mirror=gw/bkt dut.s3=https://s`,
      "CMDLINE_BAD_VALUE",
      /no dut.s3_alias has that name/,
    ],
    [`${IMAGE} dut.volume=v,filesystem=x`, "CMDLINE_BAD_VALUE", /no dut.filesystem/],
    [`${IMAGE} dut.volume=v,overwrit`, "CMDLINE_BAD_VALUE", /the nearest known one is "overwrite"/],
    [
      `${IMAGE} dut.volume=v,pull_on=pipelin_start`,
      "CMDLINE_BAD_VALUE",
      /nearest known one is "pipeline_start"/,
    ],
    [`${IMAGE} dut.volume=a/b`, "CMDLINE_BAD_VALUE", /name/],
    [`${IMAGE} dut.s3_alias=gw,https://s,hunter2`, "CMDLINE_BAD_VALUE", /"dut.s3_alias=gw"/],
    [`${IMAGE} dut.s3_alias=gw,http://s,a,hunter2`, "FETCH_INSECURE_REFUSED", /dut.s3_alias/],
    [`${IMAGE} dut.filesystem=x`, "CMDLINE_BAD_VALUE", /src=/],
    [`${IMAGE} dut.cache=FILESYSTEM=x`, "CMDLINE_BAD_VALUE", /no dut.filesystem/],
    [`${IMAGE} dut.image_store=x`, "CMDLINE_BAD_VALUE", /no dut.filesystem/],
    [`${IMAGE} dut.swap=lots`, "CMDLINE_BAD_VALUE", /size/],
    [`${IMAGE} dut.swap=1G,swapiness=1`, "CMDLINE_BAD_VALUE", /"swappiness"/],
    [`${IMAGE} dut.nbd=/dev/sda,host=h`, "CMDLINE_BAD_VALUE", /nbdN/],
    [`${IMAGE} dut.nbd=/dev/nbd0`, "CMDLINE_BAD_VALUE", /host=/],
    [`${IMAGE} dut.iface=eth0,address=10.0.0.2`, "CMDLINE_BAD_VALUE", /ADDRESS\/LENGTH/],
    [`${IMAGE} dut.iface=eth0,adress=10.0.0.2/24`, "CMDLINE_BAD_VALUE", /"address"/],
    [`${IMAGE} dut.ntp=a_b!`, "CMDLINE_BAD_VALUE", /not a host/],
    [`${IMAGE} dut.hostname=-x`, "CMDLINE_BAD_VALUE", /name/],
    [`${IMAGE} dut.keymap=../x`, "CMDLINE_BAD_VALUE", /keymap/],
    [`${IMAGE} dut.mirror=https://a`, "CMDLINE_BAD_VALUE", /REGISTRY=URL/],
    [`${IMAGE} dut.mirror=docker.io=a:5000`, "CMDLINE_BAD_VALUE", /https:\/\//],
    [`${IMAGE} dut.mirror=docker.io=http://a:5000`, "FETCH_INSECURE_REFUSED", /a:5000/],
    [`${IMAGE} dut.proxy=http://p`, "CMDLINE_BAD_VALUE", /https=URL/],
    [`${IMAGE} dut.console=../tty`, "CMDLINE_BAD_VALUE", /DEVICE,BAUD/],
    [`${IMAGE} dut.console=ttyS0,115200e7`, "CMDLINE_BAD_VALUE", /DEVICE,BAUD/],
    [`${IMAGE} dut.console=ttyS0,10`, "CMDLINE_BAD_VALUE", /10 baud/],
    [`${IMAGE} dut.color=maybe`, "CMDLINE_BAD_VALUE", /auto, yes/],
    [`${IMAGE} dut.log=udp://a:1`, "CMDLINE_BAD_VALUE", /tcp:\/\/HOST:PORT/],
    [`${IMAGE} dut.log=tcp://a`, "CMDLINE_BAD_VALUE", /tcp:\/\/HOST:PORT/],
    [`${IMAGE} dut.log=tcp://a:0`, "CMDLINE_BAD_VALUE", /tcp:\/\/HOST:PORT/],
    [`${IMAGE} dut.log=syslog://`, "CMDLINE_BAD_VALUE", /syslog:\/\/HOST\[:PORT\]/],
    [`${IMAGE} dut.log=syslog+tcp://a:x`, "CMDLINE_BAD_VALUE", /syslog\+tcp:\/\/HOST/],
    [`${IMAGE} dut.log=syslog://a/b`, "CMDLINE_BAD_VALUE", /syslog:\/\/HOST/],
    [`${IMAGE} dut.log=10.0.0.1`, "CMDLINE_BAD_VALUE", /syslog:/],
    [`${IMAGE} dut.log=https://u:p@h/`, "CMDLINE_BAD_VALUE", /password/],
    [`${IMAGE} dut.log=https://h/#x`, "CMDLINE_BAD_VALUE", /#/],
    [`${IMAGE} dut.log=http://h/`, "FETCH_INSECURE_REFUSED", /dut\.log/],
    [`${IMAGE} dut.log=s3://logs/x`, "CMDLINE_MISSING_OPTION", /dut\.s3/],
    [`${IMAGE} dut.netconsole=`, "CMDLINE_BAD_VALUE", /no value/],
    [`${IMAGE} dut.netconsole=a:0`, "CMDLINE_BAD_VALUE", /HOST\[:PORT\]/],
    [`${IMAGE} dut.netconsole=udp://a`, "CMDLINE_BAD_VALUE", /HOST\[:PORT\]/],
    [`${IMAGE} dut.poweroff_command="curl x"`, "CMDLINE_BAD_VALUE", /curl/],
    [`${IMAGE} dut.poweroff_delay=15`, "CMDLINE_BAD_VALUE", /unit/],
    [`${IMAGE} dut.pipefail=true`, "CMDLINE_BAD_VALUE", /yes, no/],
    [`${IMAGE} dut.artifact=nfs://nas/srv/`, "CMDLINE_BAD_VALUE", /directory/],
    [`${IMAGE} dut.artifact=file:a.tar`, "CMDLINE_BAD_VALUE", /absolute/],
    [`${IMAGE} dut.job=jobs/1.yaml`, "CMDLINE_BAD_VALUE", /https:\/\//],
    ["dut.job=http://a/1.yaml", "FETCH_INSECURE_REFUSED", /dut.job/],
    ["b2c.run=h:1/i dut.job=https://a/1.yaml", "CMDLINE_MIXED_DIALECTS", /dut.job/],
  ])("%s", (line, code, words) => {
    const { errors, warnings } = read(line);
    expect(errors.map((error) => error.code)).toEqual([code]);
    expect(errors[0]!.message).toMatch(words);
    expect(JSON.stringify([errors, errors[0]!.message, warnings])).not.toContain("hunter2");
  });
});

describe("a job whose file is not fetched yet", () => {
  it("is a job with gaps, and has a warning", () => {
    const { job, errors, warnings } = read(`dut.job=http://a/1.yaml,sha256=${HEX} dut.results=s3://bkt/x`);
    expect(errors).toEqual([]);
    expect(job).toMatchObject({
      root: undefined,
      steps: [],
      machine: { jobFileUrl: { url: "http://a/1.yaml", sha256: HEX } },
    });
    expect(warnings).toEqual([expect.stringContaining("--job FILE")]);
  });

  it("is refused for errors that no file can correct", () => {
    const { errors } = read("dut.job=https://a/1.yaml dut.timeout=1 dut.nonsense");
    expect(errors.map(({ code }) => code)).toEqual(["CMDLINE_BAD_VALUE", "CMDLINE_UNKNOWN_OPTION"]);
  });
});

describe("the plan and the description", () => {
  const planOf = (line: string, phase: string) =>
    planPhases(read(line).job!).find(({ name }) => name === phase)!.does;

  it.each([
    ["dut.rootfs=https://a/b.tar?sig=hunter2 dut.run=x", "fetch", ["fetch https://a/b.tar?sig=[hidden]"]],
    [
      `${IMAGE} dut.mirror=h:1=https://m`,
      "fetch",
      ["ask https://m first for images of h:1", "pull h:1/i:latest"],
    ],
    [
      "dut.rootfs=https://a/b.tar dut.rootfs=https://a/c.tar dut.run=x",
      "assemble",
      ["mount the 2 archives as one root"],
    ],
    ["dut.rootfs=file:/r dut.run=x", "assemble", ["use /r of the initrd as the root"]],
    [
      "dut.rootfs=nfs://h/srv,rw,vers=4.2 dut.init=/init",
      "assemble",
      ["mount h:/srv by NFS 4.2, read-write"],
    ],
    [`${IMAGE} dut.init=/sbin/init`, "run", ["boot /sbin/init as process 1 of its own container"]],
    [`${IMAGE} dut.shell=yes`, "run", ["run a shell on the console until it exits"]],
    [`${IMAGE} dut.results=https://s/x`, "upload", ["upload the results to https://s/x"]],
    [`${IMAGE} dut.results=nfs://s/x`, "upload", ["upload the results to s:/x by NFS"]],
  ])("%s: %s", (line, phase, does) => {
    expect(planOf(line, phase)).toEqual(does);
  });

  it.each([
    [
      `${IMAGE} dut.cache=auto dut.cache_format=yes`,
      "keep the store on the device with our label, else in RAM",
    ],
    ["b2c.run=h:1/i b2c.cache_device=auto", "keep the store on the device with our label, else in RAM"],
    [
      "b2c.run=h:1/i b2c.cache_device=reset dut.cache_format=yes",
      "keep the store on the device with our label, formatted again, else on the first disk, which is formatted",
    ],
    [`${IMAGE} dut.cache=FILESYSTEM=x dut.filesystem=x,src=y`, "keep the store on the file system x"],
  ])("%s: %s", (line, sentence) => {
    expect(planOf(line, "machine")).toContain(sentence);
  });

  it("describes the machine", () => {
    const line = `${IMAGE} dut.log=tcp://h:1 dut.job=https://j/1?token=hunter2 dut.keymap=fr dut.hostname=x dut.ntp=none`;
    const does = planOf(line, "machine");
    expect(does).toEqual(
      expect.arrayContaining([
        "also send the console's output to tcp://h:1",
        "fetch the job file https://j/1?token=[hidden]",
        "set the clock without a server: at least to the agent's build time",
        "load the keymap fr",
        "set the host name x",
      ]),
    );
    const description = describeLine(read(line));
    expect(description.job).toMatchObject({
      logTo: "tcp://h:1",
      machine: { jobFileUrl: { url: "https://j/1?token=[hidden]", sha256: null } },
      steps: [{ isInit: false }],
    });
    expect(JSON.stringify(description)).not.toContain("hunter2");
  });

  it.each([
    [
      "dut.rootfs=https://a/b.tar dut.run=x",
      { archives: [{ url: "https://a/b.tar", sha256: null, tableSha256: null }], driver: "auto" },
    ],
    ["dut.rootfs=file:/r dut.run=x", { directory: "/r" }],
    [
      "dut.rootfs=nfs://h/r dut.run=x",
      { nfs: { server: "h", path: "/r", version: null, options: [], writable: false } },
    ],
    ["dut.step=h:1/i", null],
  ])("describes the root of %s", (line, root) => {
    expect(describeLine(read(line)).job?.root).toEqual(root);
  });
});

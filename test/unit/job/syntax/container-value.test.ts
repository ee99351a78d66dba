/** How the value of a container is read, and what is an error of that step alone. */
import { describe, expect, it } from "vitest";
import { AgentError } from "../../../../agent/errors.ts";
import { readContainer, showPipelineVariable } from "../../../../agent/job/syntax/container-value.ts";

const createError = (reason: string) => new AgentError("CMDLINE_BAD_VALUE", reason);
const read = (value: string, warnings: string[] = []) =>
  readContainer("main", value, {
    createError,
    lookup: showPipelineVariable,
    warn: (warning) => warnings.push(warning),
  });

const container = (settings: object) => ({ container: settings });
const IMAGE = { registry: "h:1", repository: "i", tag: "latest" };

describe("flags", () => {
  it.each([
    ["-ti", container({ hasTerminal: true, keepsInputOpen: true })],
    [
      "-tiv /a:/b",
      {
        ...container({ hasTerminal: true, keepsInputOpen: true }),
        volumes: [{ kind: "bind", source: "/a", target: "/b", options: [] }],
      },
    ],
    ["-eA=b -e=C=d -e E=f --env=G=h --env I=j", { env: ["A=b", "C=d", "E=f", "G=h", "I=j"] }],
    ["-e 'A=b c'", { env: ["A=b c"] }],
    ["--env-file /user/job.env", { envFiles: ["/user/job.env"] }],
    [
      "-v v:/a:ro,Z -v /b",
      {
        volumes: [
          { kind: "volume", source: "v", target: "/a", options: ["ro", "Z"] },
          { kind: "volume", target: "/b", options: [] },
        ],
      },
    ],
    [
      "--mount type=bind,source=/a,target=/b,ro",
      { volumes: [{ kind: "bind", source: "/a", target: "/b", options: ["ro"] }] },
    ],
    [
      "--mount src=v,dst=/b,readonly=false",
      { volumes: [{ kind: "volume", source: "v", target: "/b", options: ["rw"] }] },
    ],
    [
      "--mount type=tmpfs,destination=/b,tmpfs-size=64m",
      { volumes: [{ kind: "tmpfs", target: "/b", options: ["size=64m"] }] },
    ],
    [
      "--tmpfs /run:size=64m,noexec",
      { volumes: [{ kind: "tmpfs", target: "/run", options: ["size=64m", "noexec"] }] },
    ],
    [
      "--device /dev/dri --device=/dev/kvm:/dev/kvm2:rw",
      container({
        devices: [
          { source: "/dev/dri", target: "/dev/dri", permissions: "rwm" },
          { source: "/dev/kvm", target: "/dev/kvm2", permissions: "rw" },
        ],
      }),
    ],
    ["-w /mesa", { workdir: "/mesa" }],
    ["--entrypoint bash", { entrypoint: ["bash"] }],
    ['--entrypoint=\'["bash", "-c"]\'', { entrypoint: ["bash", "-c"] }],
    ["--entrypoint ''", { entrypoint: [] }],
    ["--privileged=false --read-only", container({ isPrivileged: false, isReadOnly: true })],
    ["--tls-verify=false", container({ isRegistryInsecure: true })],
    ["--tls-verify", container({ isRegistryInsecure: false })],
    [
      "--pid=host --ipc=host --network=host --dns=none",
      container({ pid: "host", ipc: "host", network: "host", nameservers: ["none"] }),
    ],
    [
      "-u 1000:1000 -h dut --group-add video --umask 022",
      container({ user: "1000:1000", hostname: "dut", groups: ["video"], umask: "022" }),
    ],
    [
      "--cap-add SYS_ADMIN,NET_ADMIN --cap-drop=ALL",
      container({ addedCapabilities: ["SYS_ADMIN", "NET_ADMIN"], droppedCapabilities: ["ALL"] }),
    ],
    [
      "-m 512m --shm-size 1g --cpus 1.5 --ulimit nofile=1024:2048",
      container({
        memoryBytes: 512 * 1024 ** 2,
        shmSizeBytes: 1024 ** 3,
        cpus: 1.5,
        ulimits: ["nofile=1024:2048"],
      }),
    ],
    ["--stop-timeout 20 --timeout 90", container({ stopTimeoutMs: 20_000, timeoutMs: 90_000 })],
    ["--rm --name x --label=a=b --log-driver none -q --pull=always", {}],
    ["-w mesa", { workdir: "/mesa" }],
    ["--shm-size=0 --userns=host", {}],
    ["--unsetenv A,B --unsetenv=C", container({ unsetEnvironment: ["A", "B", "C"] })],
    ["-p 80:80 -P --expose 80 --restart=always --systemd=true --no-hosts --env-host", {}],
    ["--memory-swap -1 --cpuset-cpus 0-1 --cpu-shares=512 -c 2", {}],
    ["--", {}],
  ])("%s", (flags, expected) => {
    const step = read(`${flags} docker://h:1/i ls -l`);
    expect(step.error).toBeUndefined();
    expect(step).toMatchObject({ kind: "main", image: IMAGE, argv: ["ls", "-l"], ...expected });
  });
});

describe("images", () => {
  const digest = `sha256:${"0123456789abcdef".repeat(4)}`;
  it.each([
    ["docker://h:1/i", IMAGE],
    ["h:1/i:v2", { ...IMAGE, tag: "v2" }],
    [`h:1/i@${digest}`, { registry: "h:1", repository: "i", digest }],
    ["docker://alpine", { registry: "docker.io", repository: "library/alpine", tag: "latest" }],
    ["alpine:3", { registry: "docker.io", repository: "library/alpine", tag: "3" }],
    ["mupuf/b2c", { registry: "docker.io", repository: "mupuf/b2c", tag: "latest" }],
    ["docker://FDOREG/mupuf/valve:1", { registry: "fdoreg", repository: "mupuf/valve", tag: "1" }],
    ["4a5b6c7d8e9f", { id: "4a5b6c7d8e9f" }],
    [digest, { id: "0123456789abcdef".repeat(4) }],
  ])("%s", (image, expected) => {
    const step = read(`${image} ls`);
    expect(step.error).toBeUndefined();
    expect(step.image).toEqual(expected);
  });
});

describe("an error of the step", () => {
  it.each([
    ["--frobnicate h:1/i", /"--frobnicate" is unknown/],
    ["--privilegd h:1/i", /"--privileged"/],
    ["-Z h:1/i", /"-Z" is unknown/],
    ["-tZ h:1/i", /"-Z" is unknown/],
    ["--ip 10.0.0.2 h:1/i", /machine's network/],
    ["--userns=keep-id h:1/i", /"keep-id", but only host/],
    ["--network bridge h:1/i", /host and none/],
    ["--privileged=maybe h:1/i", /neither true nor false/],
    ["-v a:b h:1/i", /not an absolute path/],
    ["-v ../a:/b h:1/i", /not a volume/],
    ["-v a:/b:frob h:1/i", /unknown mount option "frob"/],
    ["--mount type=bind,target=/b h:1/i", /bind mount whose source/],
    ["--mount type=devpts,target=/b h:1/i", /type "devpts"/],
    ["-m lots h:1/i", /size "lots"/],
    ["-e", /needs NAME=VALUE after it/],
    ["", /names no image/],
    ["-ti", /names no image/],
    ["h:1/I ls", /not an image name/],
    ["oci:/x ls", /"oci:"/],
    ["h:1/i a; reboot", /";" outside of quotes/],
    ["h:1/i a && b", /"&&" outside/],
    ["h:1/i a > b", /">" outside/],
    ["h:1/i $(reboot)", /command substitution/],
    ["h:1/i `reboot`", /command substitution/],
    ["h:1/i 'a", /never closed/],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's
    ["h:1/i ${A:-b}", /only \$\{NAME\} is supported/],
  ])("%s", (value, words) => {
    const { error } = read(value);
    expect(error).toMatchObject({ code: "CMDLINE_BAD_VALUE" });
    expect(error?.message).toMatch(words);
  });

  it("lists all problems, and the step keeps what could be read", () => {
    const step = read("--frob -m lots -e A=b h:1/i ls");
    expect(step.error?.message).toMatch(/--frob.*-m/);
    expect(step).toMatchObject({ image: IMAGE, argv: ["ls"], env: ["A=b"] });
  });
});

describe("variables", () => {
  it("of the pipeline stay as written until they have values", () => {
    const value = "h:1/i echo $B2C_PIPELINE_STATUS '$B2C_PIPELINE_STATUS'";
    expect(read(value).argv).toEqual(["echo", "$B2C_PIPELINE_STATUS", "$B2C_PIPELINE_STATUS"]);
    const lookup = (name: string) => (name === "B2C_PIPELINE_STATUS" ? "3" : undefined);
    const step = readContainer("main", value, { createError, lookup, warn: () => {} });
    expect(step.argv).toEqual(["echo", "3", "$B2C_PIPELINE_STATUS"]);
  });

  it("that do not exist are empty, with a warning", () => {
    const warnings: string[] = [];
    expect(read('h:1/i echo $A "$A" x$A', warnings).argv).toEqual(["echo", "", "x"]);
    expect(warnings).toEqual([expect.stringContaining("$A")]);
  });
});

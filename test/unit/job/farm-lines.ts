/**
 * Command lines that farms send (boot2container on CI-Tron, Mesa's jobs), their holes filled with plain values, and what
 * they ask for. `expected` is a part of the job.
 */

export interface FarmLine {
  name: string;
  line: string;
  /** What b2c.extra_args_url would give. */
  extraArguments?: string;
  expected: object;
  warnings?: RegExp[];
}

const REGISTRATION = "fdoreg.example/mupuf/valve-infra/machine_registration:latest";
const registration = {
  registry: "fdoreg.example",
  repository: "mupuf/valve-infra/machine_registration",
  tag: "latest",
};
const TERMINAL = { hasTerminal: true, keepsInputOpen: true };
const mesaImage = { registry: "10.42.0.1:8002", repository: "tests/mesa", tag: "12345" };
const testVk = { registry: "10.42.0.1:8002", repository: "mesa/mesa/debian/x86_64_test-vk", tag: "tag" };
const INIT_STAGE = "tar xf install.tar; ./install/common/init-stage2.sh";

/** The value of a job's extra arguments as Mesa's template writes it: many lines, a command of many lines. */
const MESA_EXTRA_ARGUMENTS = `b2c.pipefail
b2c.poweroff_delay=15
b2c.volume="job-42-results,mirror=job-42/results,pull_on=pipeline_start,push_on=changes,expiration=pipeline_end,preserve"
b2c.minio="job-42,http://10.42.0.1:9000,hunter2,hunter2"
b2c.volume=tmp
b2c.run="--privileged --pid=host --dns=none -v job-42-results:/results --env-file /user/job.env \\
  --entrypoint=bash docker://10.42.0.1:8002/mesa/mesa/debian/x86_64_test-vk:tag -euc -o pipefail 'export A=\\"b c\\"
curl --silent http://10.42.0.1/install.tar.zst | tar --zstd --extract && export SCRIPTS_DIR=$PWD/install
$SCRIPTS_DIR/common/init-stage2.sh'"
b2c.extra_args_url=http://10.42.0.1/again
`;

export const B2C_LINES: readonly FarmLine[] = [
  {
    name: "RC-01, the status in the shutdown command",
    line: `b2c.container="-ti docker://${REGISTRATION} check" b2c.ntp_peer="10.42.0.1" b2c.pipefail b2c.cache_device=auto b2c.shutdown_cmd="echo JOB_RESULT=$B2C_PIPELINE_PREV_CONTAINER_EXIT_CODE; poweroff -f" console=ttyS0,115200 earlyprintk=vga,keep SALAD.machine_id=b4:2e:99:f0:76:c5`,
    expected: {
      steps: [{ kind: "main", image: registration, argv: ["check"], env: [], container: TERMINAL }],
      stopsAtFailure: true,
      cache: { choice: "auto", mayFormat: false },
      machine: {
        ntp: { host: "10.42.0.1" },
        end: { poweroffCommand: "echo JOB_RESULT=$B2C_PIPELINE_PREV_CONTAINER_EXIT_CODE; poweroff -f" },
      },
    },
  },
  {
    name: "RC-02, start",
    line: `b2c.container="docker://10.42.0.1:8001/infra/machine-registration:latest check" b2c.ntp_peer="10.42.0.1" b2c.pipefail b2c.cache_device=auto b2c.container="-v /container/tmp:/storage docker://10.42.0.1:8002/tests/mesa:12345" console=ttyS0,115200 earlyprintk=vga,keep SALAD.machine_id=b4:2e:99:f0:76:c5 extra=""`,
    expected: {
      steps: [
        { image: { registry: "10.42.0.1:8001", repository: "infra/machine-registration" }, argv: ["check"] },
        {
          image: mesaImage,
          argv: [],
          volumes: [{ kind: "bind", source: "/container/tmp", target: "/storage", options: [] }],
        },
      ],
    },
  },
  {
    name: "RC-03, continue",
    line: `b2c.container="docker://10.42.0.1:8001/infra/machine-registration:latest check" b2c.ntp_peer=10.42.0.1 b2c.pipefail b2c.cache_device=auto b2c.container="-v /container/tmp:/storage docker://10.42.0.1:8002/tests/mesa:12345 resume"`,
    expected: { steps: [{ argv: ["check"] }, { image: mesaImage, argv: ["resume"] }] },
  },
  {
    name: "RC-04, the default of 2021",
    line: `b2c.container="-ti --tls-verify=false docker://10.42.0.1:8002/mupuf/valve-infra/machine_registration:latest register" b2c.ntp_peer="10.42.0.1" b2c.cache_device=none loglevel=6`,
    expected: {
      steps: [{ argv: ["register"], container: { ...TERMINAL, isRegistryInsecure: true } }],
      insecureHosts: ["10.42.0.1:8002"],
      cache: { choice: "none" },
    },
  },
  {
    name: "RC-06, boot loop",
    line: `b2c.container="-ti --tls-verify=false docker://${REGISTRATION} check" b2c.ntp_peer="ci-gateway" b2c.pipefail b2c.cache_device=auto b2c.poweroff_delay=15 console=ttyUSB0,115200 earlyprintk=vga,keep SALAD.machine_id=x loglevel=6`,
    expected: { machine: { ntp: { host: "ci-gateway" }, end: { poweroffDelayMs: 15_000 } } },
  },
  {
    name: "RC-09, register",
    line: `b2c.container="-ti --tls-verify=false docker://${REGISTRATION} register" b2c.ntp_peer="ci-gateway" b2c.cache_device=auto loglevel=6`,
    expected: { steps: [{ image: registration, argv: ["register"] }] },
  },
  {
    name: "RC-12, secrets by URL",
    line: `quiet b2c.extra_args_url="https://gateway.example/secrets/1"`,
    expected: { steps: [], machine: { extraArgumentsUrl: "https://gateway.example/secrets/1" } },
    warnings: [/--extra-args/],
  },
  {
    name: "RC-13, two spaces between options",
    line: `b2c.ntp_peer="10.42.0.1" b2c.pipefail b2c.cache_device=auto  b2c.poweroff_delay=15`,
    expected: { steps: [], stopsAtFailure: true },
    warnings: [/no container runs/],
  },
  {
    name: "RC-15, Mesa in April 2021",
    line: `b2c.container="-v 42-results:/builds/mesa/results --tls-verify=false -e DEQP_FRACTION=50 docker://10.42.0.1:8002/tests/mesa:12345"`,
    expected: {
      steps: [
        {
          image: mesaImage,
          env: ["DEQP_FRACTION=50"],
          volumes: [{ kind: "volume", source: "42-results", target: "/builds/mesa/results", options: [] }],
        },
      ],
    },
  },
  {
    name: "RC-16, Mesa in February 2022",
    line: `SALAD.machine_id=x console=ttyS0,115200 earlyprintk=vga,keep loglevel=6 amdgpu.gpu_recovery=0 b2c.container="-ti --tls-verify=false docker://${REGISTRATION} check" b2c.ntp_peer=10.42.0.1 b2c.pipefail b2c.cache_device=auto b2c.poweroff_delay=15 b2c.minio="gateway,http://10.42.0.1:9000,hunter2,hunter2" b2c.volume="job-42-results,mirror=gateway/job-42,pull_on=pipeline_start,push_on=changes,overwrite,exclude=*.shader_cache,exclude=tmp/*,expiration=pipeline_end,preserve" b2c.container="-v job-42-results:/mesa -w /mesa --tls-verify=false docker://10.42.0.1:8002/tests/mesa:12345 bash -c 'source ./set-job-env-vars.sh ; \${B2C_TEST_SCRIPT}'"`,
    expected: {
      steps: [
        { argv: ["check"] },
        {
          workdir: "/mesa",
          // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's, and for the container
          argv: ["bash", "-c", "source ./set-job-env-vars.sh ; ${B2C_TEST_SCRIPT}"],
        },
      ],
      volumes: [
        {
          name: "job-42-results",
          pull: { alias: "gateway", bucket: "job-42", prefix: "", on: ["pipeline_start"] },
          push: { alias: "gateway", bucket: "job-42", prefix: "", on: ["changes"] },
          expiration: "pipeline_end",
          mirrorOptions: {
            overwrite: true,
            remove: false,
            preserve: true,
            exclude: ["*.shader_cache", "tmp/*"],
          },
        },
      ],
      s3Aliases: [{ name: "gateway", url: "http://10.42.0.1:9000" }],
      insecureHosts: ["10.42.0.1:9000", "fdoreg.example", "10.42.0.1:8002"],
    },
    warnings: [/b2c.minio holds the keys/],
  },
  {
    name: "RC-19 with its extra arguments, many lines long",
    line: "SALAD.machine_id=x console=ttyS0,115200 b2c.cache_device=auto b2c.ntp_peer=10.42.0.1 b2c.extra_args_url=http://10.42.0.1/b2c-extra-args modules_load=amdgpu,i915",
    extraArguments: MESA_EXTRA_ARGUMENTS,
    expected: {
      stopsAtFailure: true,
      steps: [
        {
          kind: "main",
          image: testVk,
          entrypoint: ["bash"],
          argv: [
            "-euc",
            "-o",
            "pipefail",
            'export A="b c"\ncurl --silent http://10.42.0.1/install.tar.zst | tar --zstd --extract && export SCRIPTS_DIR=$PWD/install\n$SCRIPTS_DIR/common/init-stage2.sh',
          ],
          envFiles: ["/user/job.env"],
          container: { isPrivileged: true, pid: "host", nameservers: ["none"] },
        },
      ],
      volumes: [{ name: "job-42-results" }, { name: "tmp", expiration: "never" }],
      machine: { modules: ["amdgpu", "i915"], end: { poweroffDelayMs: 15_000 } },
    },
    warnings: [/among the extra arguments is ignored/],
  },
  {
    name: "RC-24, the introductory job of today",
    line: `b2c.ntp_peer=ci-gateway b2c.poweroff_delay=15 b2c.run="--tls-verify=false -t 10.42.0.1:8002/gfx-ci/ci-tron/executorctl:latest echo Hello world" SALAD.machine_id=x console=ttyS0,115200`,
    expected: {
      steps: [
        {
          image: { registry: "10.42.0.1:8002", repository: "gfx-ci/ci-tron/executorctl", tag: "latest" },
          argv: ["echo", "Hello", "world"],
          container: { hasTerminal: true, isRegistryInsecure: true },
        },
      ],
    },
  },
  {
    name: "RC-25, b2c-job-v1",
    line: "b2c.cache_device=/dev/nbd0 b2c.extra_args_url=http://10.42.0.1/cfg b2c.ntp_peer=ci-gateway b2c.swap=16g,swappiness=10 SALAD.machine_id=x console=ttyS0,115200",
    extraArguments: 'b2c.run="docker://10.42.0.1:8002/tests/mesa:12345"',
    expected: {
      cache: { choice: { device: "/dev/nbd0" } },
      machine: { swap: { sizeBytes: 17_179_869_184, swappiness: 10 } },
      steps: [{ image: mesaImage }],
    },
  },
  {
    name: "RC-27, Mesa's command today",
    line: `b2c.run="docker://10.42.0.1:8002/tests/mesa:12345 bash -euc -o pipefail 'curl --silent --fail-with-body http://10.42.0.1/install.tar.zst | tar --zstd --extract && export SCRIPTS_DIR=$PWD/install && $SCRIPTS_DIR/common/init-stage2.sh'" b2c.run="docker://10.42.0.1:8002/tests/mesa:12345 setup --tags amdgpu:codename:NAVI31"`,
    expected: {
      steps: [
        {
          argv: [
            "bash",
            "-euc",
            "-o",
            "pipefail",
            "curl --silent --fail-with-body http://10.42.0.1/install.tar.zst | tar --zstd --extract && export SCRIPTS_DIR=$PWD/install && $SCRIPTS_DIR/common/init-stage2.sh",
          ],
        },
        { argv: ["setup", "--tags", "amdgpu:codename:NAVI31"] },
      ],
    },
  },
  {
    name: "RF-3",
    line: `b2c.run="-v job-42-results:/builds/mesa/mesa -w /builds/mesa/mesa --tls-verify=false docker://10.42.0.1:8002/mesa/mesa/debian/x86_64_test-vk:tag bash -euc '${INIT_STAGE}'"`,
    expected: {
      dialect: "b2c",
      steps: [
        {
          kind: "main",
          image: testVk,
          argv: ["bash", "-euc", INIT_STAGE],
          workdir: "/builds/mesa/mesa",
          volumes: [{ kind: "volume", source: "job-42-results", target: "/builds/mesa/mesa", options: [] }],
        },
      ],
    },
  },
];

const nfs = (root: object) => ({ root: { nfs: root }, dialect: "nfsroot" });

export const NFS_LINES: readonly FarmLine[] = [
  {
    name: "LAVA",
    line: "root=/dev/nfs rw nfsroot=10.0.0.1:/var/lib/lava/dispatcher/tmp/42/extract-nfsrootfs-abc,tcp,hard,v3 ip=dhcp init=/init rootwait usbcore.quirks=0bda:8153:k",
    expected: {
      ...nfs({
        server: "10.0.0.1",
        path: "/var/lib/lava/dispatcher/tmp/42/extract-nfsrootfs-abc",
        version: "3",
        options: ["tcp", "hard"],
        isWritable: true,
      }),
      ip: "dhcp",
      steps: [{ kind: "main", entrypoint: [], argv: ["/init"] }],
    },
  },
  {
    name: "fastboot, server and path by DHCP",
    line: "ip=dhcp console=ttyMSM0,115200n8 root=/dev/nfs rw nfsrootdebug nfsroot=,tcp,nfsvers=4.2 init=/init nosmp",
    expected: nfs({ version: "4.2", options: ["tcp"], isWritable: true }),
  },
  {
    name: "i.MX, nothing but the device",
    line: "ip=dhcp console=ttymxc0,115200n8 root=/dev/nfs rw nfsrootdebug init=/init",
    expected: nfs({ options: [], isWritable: true }),
  },
  {
    name: "Tegra",
    line: "console=ttyS0,115200n8 rw nfsrootdebug init=/init ip=dhcp root=/dev/nfs nfsroot=,tcp,nfsvers=4.2",
    expected: nfs({ version: "4.2", options: ["tcp"], isWritable: true }),
  },
  {
    name: "read-only, a name for the server, no init",
    line: "root=/dev/nfs rw ro nfsroot=farm-nfs:/srv/root,vers=4",
    expected: {
      ...nfs({ server: "farm-nfs", path: "/srv/root", version: "4", options: [], isWritable: false }),
      steps: [{ argv: ["/sbin/init"] }],
    },
  },
  {
    name: "a path alone, a server alone",
    line: "root=/dev/nfs nfsroot=10.0.0.1:",
    expected: nfs({ server: "10.0.0.1", path: "/tftpboot/%s", options: [], isWritable: false }),
  },
  {
    name: "words for init, and a command of ours in its place",
    line: 'root=/dev/nfs nfsroot=/srv/root dut.run="uname -a" dut.timeout=5m -- single',
    expected: {
      ...nfs({ path: "/srv/root", options: [], isWritable: false }),
      steps: [{ entrypoint: [], argv: ["/bin/sh", "-c", "uname -a"] }],
      limits: { timeoutMs: 300_000 },
    },
  },
];

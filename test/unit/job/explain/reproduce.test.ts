/** The commands: what they contain, what they leave out, and that a shell can read them. */
import { describe, expect, it } from "vitest";
import { formatBootLine, planReproducers } from "../../../../agent/job/explain/reproduce.ts";
import { readCommandLine } from "../../../../agent/job/read-job.ts";
import { expandWords, splitShellText } from "../../../../agent/job/syntax/shell-words.ts";
import { formatReproduction } from "../../../../scripts/reproduce.ts";

const plan = (line: string) => planReproducers(readCommandLine(line).job!);
const IMAGE = "dut.image=h:5000/i:1";

describe("a shell", () => {
  it.each([
    [IMAGE, "podman run --rm -it --privileged --network=host --entrypoint /bin/sh h:5000/i:1", undefined],
    [
      `${IMAGE} dut.insecure=h dut.env="A=b c" dut.run="ls -l"`,
      "podman run --rm -it --privileged --network=host --tls-verify=false -e 'A=b c' --entrypoint /bin/sh h:5000/i:1",
      "/bin/sh -c 'ls -l'",
    ],
    [
      `${IMAGE} dut.artifact=https://a/b.tar,to=/opt`,
      "podman create --name dutboot-shell -it --privileged --network=host --entrypoint /bin/sh h:5000/i:1 && curl -fL https://a/b.tar | podman cp - dutboot-shell:/opt && podman start -ai dutboot-shell; podman rm -f dutboot-shell",
      undefined,
    ],
    [
      'b2c.run="--privileged=false -v v:/v:ro --tmpfs /t -w /v -u 1000 --device /dev/kvm h:1/i ls"',
      "podman run --rm -it --network=host -v v:/v:ro --tmpfs /t -w /v --user=1000 --device=/dev/kvm:/dev/kvm:rwm --entrypoint /bin/sh h:1/i:latest",
      "ls",
    ],
    [
      "root=/dev/nfs nfsroot=10.0.0.1:/srv,v3 init=/init",
      "sudo mkdir -p /tmp/dutboot-root && sudo mount -t nfs -o ro,vers=3 10.0.0.1:/srv /tmp/dutboot-root && sudo podman run --rm -it --privileged --network=host --entrypoint /bin/sh --rootfs /tmp/dutboot-root:O",
      "/init",
    ],
    [
      "dut.rootfs=https://a/base.tar.zst dut.init=/init",
      "curl -fL https://a/base.tar.zst | podman import - localhost/dutboot-rootfs && podman run --rm -it --privileged --network=host --entrypoint /bin/sh localhost/dutboot-rootfs",
      "/init",
    ],
    [
      "dut.rootfs=s3://bkt/base.tar dut.rootfs=https://a/over.tar dut.s3=https://s dut.shell=yes",
      "aws --endpoint-url https://s s3 cp s3://bkt/base.tar - | podman import - localhost/dutboot-rootfs && podman create --name dutboot-shell -it --privileged --network=host -e 'PS1=lava-shell: ' --entrypoint /bin/sh localhost/dutboot-rootfs && curl -fL https://a/over.tar | podman cp - dutboot-shell:/ && podman start -ai dutboot-shell; podman rm -f dutboot-shell",
      "/bin/sh",
    ],
  ])("%s", (line, shell, command) => {
    const [only] = plan(line);
    expect(only?.shell).toBe(shell);
    expect(only?.command).toBe(command);
  });

  it("is not given for a step that cannot be read", () => {
    const [unread, read] = plan('b2c.run="--frob h:1/i" b2c.run=h:1/i');
    expect(unread).toEqual({ step: 1, kind: "main", reason: "the container cannot be read" });
    expect(read).toMatchObject({ step: 2, shell: expect.stringMatching(/^podman run /) });
  });

  it.each([
    ["root=/dev/nfs nfsroot=,tcp", /DHCP/],
    ["root=/dev/nfs nfsroot=10.0.0.1:/srv dut.artifact=https://a/b.tar", /over an NFS export/],
    ["dut.rootfs=file:/rootfs dut.run=x", /\/rootfs in an initrd archive/],
    ["dut.rootfs=file:/rootfs.tar dut.run=x", /in an initrd archive/],
    ["dut.rootfs=https://a/b.tar dut.rootfs=nfs://h/x/y.tar dut.run=x", /NFS export/],
    [`${IMAGE} dut.artifact=file:/x.tar`, /in an initrd archive/],
  ])("is not given, with the reason: %s", (line, words) => {
    const [only] = plan(line);
    expect(only?.shell).toBeUndefined();
    expect(only?.reason).toMatch(words);
    const { job } = readCommandLine(line);
    expect(formatReproduction(line, job!)[0]).toMatch(/^# no shell in the environment of step 1: /);
  });

  it("contains no secret", () => {
    const line = `${IMAGE} dut.env=API_TOKEN=hunter2 dut.artifact=https://a/b?sig=hunter2`;
    expect(JSON.stringify(plan(line))).not.toContain("hunter2");
    expect(formatBootLine(line)).not.toContain("hunter2");
  });
});

describe("the boot", () => {
  it.each([
    [`console=ttyS0 ${IMAGE} dut.run="it's" SALAD.machine_id=x ip=10.0.0.2`, `${IMAGE} dut.run="it's"`],
    [`${IMAGE} dut.cache=/dev/sda dut.cache_format=yes -- x`, `${IMAGE} -- x`],
    [`vmlinuz ${IMAGE} dut.end BOOTIF=01-aa initrd=x`, `${IMAGE} dut.end`],
    [`/boot/Image quiet ${IMAGE}`, `quiet ${IMAGE}`],
    [String.raw`BOOT_IMAGE=/vmlinuz ${IMAGE} "dut.run=sh -c \'a b\'"`, `${IMAGE} "dut.run=sh -c 'a b'"`],
    ['b2c.run="h:1/i ls" b2c.cache_device=auto ip=dhcp\n', 'b2c.run="h:1/i ls" ip=dhcp'],
  ])("%j", (line, kept) => {
    const words = expandWords(splitShellText(formatBootLine(line)), () => undefined);
    expect(words).toEqual(["npx", "dutboot", "boot", "--", kept]);
  });
});

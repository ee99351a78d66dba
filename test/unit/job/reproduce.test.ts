/** The one-liners: what is in them, what is left out, and that a shell reads them. */
import { describe, expect, it } from "vitest";
import { readCommandLine } from "../../../agent/job/read-job.ts";
import { formatBootLine, planReproducers } from "../../../agent/job/reproduce.ts";
import { expandWords, splitShellText } from "../../../agent/job/shell-words.ts";

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
  ])("%s", (line, shell, command) => {
    const [only] = plan(line);
    expect(only?.shell).toBe(shell);
    expect(only?.command).toBe(command);
  });

  it("there is none for a step that cannot be read, nor for a root that only DHCP knows", () => {
    expect(plan('b2c.run="--frob h:1/i" b2c.run=h:1/i').map(({ step }) => step)).toEqual([2]);
    expect(plan("root=/dev/nfs nfsroot=,tcp")).toEqual([]);
  });

  it("holds no secret", () => {
    const line = `${IMAGE} dut.env=API_TOKEN=hunter2 dut.artifact=https://a/b?sig=hunter2`;
    expect(JSON.stringify(plan(line))).not.toContain("hunter2");
    expect(formatBootLine(line)).not.toContain("hunter2");
  });
});

describe("the boot", () => {
  it.each([
    [`console=ttyS0 ${IMAGE} dut.run="it's" SALAD.machine_id=x ip=10.0.0.2`, `${IMAGE} dut.run="it's"`],
    [`${IMAGE} dut.cache=/dev/sda dut.cache_format=yes -- x`, `${IMAGE} -- x`],
    ['b2c.run="h:1/i ls" b2c.cache_device=auto ip=dhcp\n', 'b2c.run="h:1/i ls" ip=dhcp'],
  ])("%j", (line, kept) => {
    const words = expandWords(splitShellText(formatBootLine(line)), () => undefined);
    expect(words).toEqual(["npx", "dutboot", "boot", "--", kept]);
  });
});

import { expect, test } from "vitest";
import { parseMountFlag, parseTmpfsFlag, parseVolumeFlag } from "../../../agent/job/syntax/podman-mounts.ts";
import { planBind, planTmpfs } from "../../../agent/volumes/container-mounts.ts";

test.each([
  ["/a:/b", ["rbind", "rprivate"]],
  ["/a:/b:ro", ["rbind", "rprivate", "ro"]],
  ["/a:/b:bind,nosuid", ["bind", "rprivate", "nosuid"]],
  ["/a:/b:rshared,z,U", ["rbind", "rshared", "U"]],
])("-v %s", (flag, options) => {
  expect(planBind("/from", parseVolumeFlag(flag))).toEqual({ from: "/from", to: "/b", options });
});

test.each([["/a:/b:O"], ["/a:/b:O,upperdir=/c,workdir=/d"]])("-v %s is refused", (flag) => {
  expect(() => planBind("/from", parseVolumeFlag(flag))).toThrowError(
    expect.objectContaining({ code: "VOLUME_BAD_MOUNT" }),
  );
});

test.each([
  ["/t", ["rw", "noexec", "nosuid", "nodev", "tmpcopyup"]],
  ["/t:size=64m,mode=1777", ["nosuid", "nodev", "tmpcopyup", "size=64m", "mode=1777"]],
  ["/t:exec,suid,notmpcopyup", ["nodev", "exec", "suid"]],
])("--tmpfs %s", (flag, options) => {
  expect(planTmpfs(parseTmpfsFlag(flag))).toEqual({ to: "/t", options });
});

test("--mount type=tmpfs", () => {
  const mount = parseMountFlag("type=tmpfs,dst=/t,tmpfs-size=1m,ro");
  expect(planTmpfs(mount).options).toEqual(["nosuid", "nodev", "tmpcopyup", "size=1m", "ro"]);
});

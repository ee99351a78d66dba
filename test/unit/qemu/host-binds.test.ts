import { expect, it } from "vitest";
import { planHostBinds } from "../../../qemu/host-binds.ts";

it.for([
  [["/home/me/kernel", "/tmp/x", "/srv/out/run/events.jsonl"], []],
  [["/boot/vmlinuz"], ["/boot"]],
  [
    ["/var/lib/ci/a/kernel", "/var/lib/ci/a/initrd", "/usr/lib/modules/6/vmlinuz"],
    ["/usr/lib/modules/6", "/var/lib/ci/a"],
  ],
  [["/bootlegs/kernel", "/library/x", "/varnish/y"], ["/library"]],
] as const)("shows a program what its root would hide of %j", ([paths, folders]) => {
  expect(Object.keys(planHostBinds(paths))).toEqual(folders);
});

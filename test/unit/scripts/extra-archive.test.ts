import { expect, it } from "vitest";
import { formatExtraArchive } from "../../../scripts/extra-archive.ts";

it("creates each parent folder once, before its content; a later file of a path wins", () => {
  const archive = formatExtraArchive([
    { path: "/etc/dutboot/credentials/s3", content: Buffer.from("first") },
    { path: "etc/dutboot/credentials/ca.pem", content: Buffer.from("pem") },
    { path: "etc/dutboot/credentials/s3", content: Buffer.from("second") },
  ]).toString("latin1");
  const names = [...archive.matchAll(/070701[0-9a-f]{104}([^\0]+)\0/gi)].map(([, name]) => name);
  expect(names).toEqual([
    "etc",
    "etc/dutboot",
    "etc/dutboot/credentials",
    "etc/dutboot/credentials/s3",
    "etc/dutboot/credentials/ca.pem",
    "TRAILER!!!",
  ]);
  expect(archive).toContain("second");
  expect(archive).not.toContain("first");
});

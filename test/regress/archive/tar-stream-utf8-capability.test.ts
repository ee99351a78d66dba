/** tar-stream decodes pax values as UTF-8: byte 0x80 of cap_setuid became ef bf bd, and files lost their capability. */
import { expect, it } from "vitest";
import { TarReader } from "../../../agent/archive/tar-reader.ts";
import { buildTar } from "../../unit/archive/tar-builder.ts";

it("keeps byte 0x80 of a capability", () => {
  const capability = Buffer.from("0100000280000000000000000000000000000000", "hex");
  const seen: (string | undefined)[] = [];
  const reader = new TarReader({
    onEntry: ({ xattrs }) => seen.push(xattrs.get("security.capability")?.toString("hex")),
    onContent() {},
    onHole() {},
    onEntryEnd() {},
  });
  reader.write(buildTar([{ path: "newuidmap", pax: [["SCHILY.xattr.security.capability", capability]] }]));
  reader.end();
  expect(seen).toEqual([capability.toString("hex")]);
});

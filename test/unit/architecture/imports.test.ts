import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { ROOMS, type Room } from "./import-table.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const MANDATORY_HEADER = /^(#!.*\n)?\/\*\*/;

interface Import {
  file: string;
  target: string;
  typeOnly: boolean;
}

const files = ["agent", "initrd", "qemu", "scripts"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name)),
);
const imports = files.flatMap(readImports);

function readImports(file: string): Import[] {
  const text = readFileSync(join(root, file), "utf8");
  const pattern = /^(?:import|export)\s+(type\s)?(?:[^;]*?from\s+)?["']([^"']+)["']/gm;
  const found: Import[] = [];
  for (const [, type, specifier] of text.matchAll(pattern)) {
    const target = specifier!.startsWith(".")
      ? relative(root, join(root, dirname(file), specifier!))
      : specifier!;
    found.push({ file, target, typeOnly: type !== undefined });
  }
  return found;
}

/** The most exact room that holds a file. */
function roomOf(file: string): string | undefined {
  const holds = (room: string) => file === room || file.startsWith(`${room}/`);
  return Object.keys(ROOMS)
    .filter(holds)
    .sort((a, b) => b.length - a.length)[0];
}

function isAllowed({ file, target, typeOnly }: Import): boolean {
  const own = roomOf(file)!;
  const room: Room = ROOMS[own]!;
  const isOurs = /^(agent|initrd|qemu|scripts|test)\//.test(target) || target === "package.json";
  if (!isOurs) {
    const name = target.startsWith("node:")
      ? target
      : target
          .split("/")
          .slice(0, target.startsWith("@") ? 2 : 1)
          .join("/");
    return room.packages === undefined || room.packages.includes(name) || typeOnly;
  }
  const within = (folder: string) => target === folder || target.startsWith(`${folder}/`);
  return within(own) || room.imports.some(within) || (typeOnly && (room.types ?? []).some(within));
}

describe("import table", () => {
  it("finds the code", () => {
    expect(files.length).toBeGreaterThan(20);
    expect(imports.length).toBeGreaterThan(files.length);
  });

  it("gives every file a room", () => {
    expect(files.filter((file) => roomOf(file) === undefined)).toEqual([]);
  });

  it("holds for every import", () => {
    const broken = imports
      .filter((entry) => !isAllowed(entry))
      .map(({ file, target }) => `${file} -> ${target}`);
    expect(broken).toEqual([]);
  });

  it("sees a breach", () => {
    expect(isAllowed({ file: "agent/oci/x.ts", target: "node:fs", typeOnly: false })).toBe(false);
    expect(isAllowed({ file: "agent/net/x.ts", target: "agent/sys/y.ts", typeOnly: false })).toBe(false);
    expect(isAllowed({ file: "agent/phases/x.ts", target: "agent/sys/y.ts", typeOnly: false })).toBe(false);
  });
});

describe("files", () => {
  it("say in their first lines what they are for", () => {
    const silent = files.filter((file) => !MANDATORY_HEADER.test(readFileSync(join(root, file), "utf8")));
    expect(silent).toEqual([]);
  });

  it("stay short enough to do one thing", () => {
    const long = files.filter((file) => readFileSync(join(root, file), "utf8").split("\n").length > 500);
    expect(long).toEqual([]);
  });
});

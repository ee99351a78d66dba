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
function roomOf(file: string): Room | undefined {
  const holds = ({ name }: Room) => file === name || file.startsWith(`${name}/`);
  return ROOMS.filter(holds).sort((a, b) => b.name.length - a.name.length)[0];
}

function isAllowed({ file, target, typeOnly }: Import): boolean {
  const room = roomOf(file)!;
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
  return within(room.name) || room.imports.some(within) || (typeOnly && (room.types ?? []).some(within));
}

/** The first circle of an import graph, as the nodes along it; undefined when there is none. */
function findCircle(edges: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const finished = new Set<string>();
  const visit = (node: string, path: string[]): string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (finished.has(node)) return undefined;
    for (const next of edges.get(node) ?? []) {
      const circle = visit(next, [...path, node]);
      if (circle) return circle;
    }
    finished.add(node);
    return undefined;
  };
  for (const node of edges.keys()) {
    const circle = visit(node, []);
    if (circle) return circle;
  }
  return undefined;
}

function toGraph(pairs: readonly (readonly [string, string])[]): Map<string, Set<string>> {
  const edges = new Map<string, Set<string>>();
  for (const [from, to] of pairs) edges.set(from, (edges.get(from) ?? new Set()).add(to));
  return edges;
}

describe("import table", () => {
  it("finds the code", () => {
    expect(files.length).toBeGreaterThan(20);
    expect(imports.length).toBeGreaterThan(files.length);
  });

  it("gives every file a room", () => {
    expect(files.filter((file) => roomOf(file) === undefined)).toEqual([]);
  });

  it("names only rooms further down", () => {
    const upwards = ROOMS.flatMap(({ name, imports: below, types = [] }, index) => {
      const earlier = ROOMS.slice(0, index).map((room) => room.name);
      return [...below, ...types]
        .filter((each) => !earlier.includes(each))
        .map((each) => `${name} -> ${each}`);
    });
    expect(upwards).toEqual([]);
  });

  it("holds for every import", () => {
    const broken = imports
      .filter((entry) => !isAllowed(entry))
      .map(({ file, target }) => `${file} -> ${target}`);
    expect(broken).toEqual([]);
  });

  it("rejects an import that is not in the table", () => {
    expect(isAllowed({ file: "agent/oci/x.ts", target: "node:fs", typeOnly: false })).toBe(false);
    expect(isAllowed({ file: "agent/net/x.ts", target: "agent/sys/y.ts", typeOnly: false })).toBe(false);
    expect(isAllowed({ file: "agent/phases/x.ts", target: "agent/sys/y.ts", typeOnly: false })).toBe(false);
    expect(isAllowed({ file: "agent/oci/x.ts", target: "agent/job/job.ts", typeOnly: true })).toBe(false);
  });
});

describe("circles", () => {
  it("do not exist among files, not even by types", () => {
    expect(findCircle(toGraph(imports.map(({ file, target }) => [file, target])))).toBeUndefined();
  });

  it("are found", () => {
    const circle = findCircle(
      toGraph([
        ["a", "b"],
        ["b", "c"],
        ["c", "b"],
      ]),
    );
    expect(circle).toEqual(["b", "c", "b"]);
  });
});

describe("files", () => {
  it("describe their purpose in the first lines", () => {
    const silent = files.filter((file) => !MANDATORY_HEADER.test(readFileSync(join(root, file), "utf8")));
    expect(silent).toEqual([]);
  });

  it("stay short enough to do one thing", () => {
    const long = files.filter((file) => readFileSync(join(root, file), "utf8").split("\n").length > 500);
    expect(long).toEqual([]);
  });
});

/**
 * The kernel's index of its modules: which one a device asks for, what it needs, what is built in. Pure on the texts
 * that depmod(8) writes (modules.alias, .dep, .softdep, .builtin); matching as kmod does it, by fnmatch with "-" as "_".
 */
export interface ModuleTexts {
  alias?: string;
  dep?: string;
  softdep?: string;
  builtin?: string;
}

export interface ModuleIndex {
  /** Modules that drive what calls itself `modalias`; built-in ones left out. */
  findByAlias(modalias: string): string[];
  /** undefined for a name nobody knows. */
  find(name: string): ModuleEntry | undefined;
  isBuiltin(name: string): boolean;
}

export interface ModuleEntry {
  name: string;
  /** Below /lib/modules/RELEASE; may end in .xz, .zst or .gz. */
  path: string;
  /** To be loaded before it, in this order. */
  needs: string[];
  /** To be loaded after it; only worth a try. */
  wantsAfter: string[];
}

interface AliasRule {
  /** Up to the first wildcard: most rules fail here, without a pattern. */
  prefix: string;
  pattern: string;
  compiled?: RegExp;
  module: string;
}

export function parseModuleIndex(texts: ModuleTexts): ModuleIndex {
  const entries = parseDependencies(texts.dep ?? "");
  addSoftDependencies(entries, texts.softdep ?? "");
  const builtin = new Set(readLines(texts.builtin ?? "").map(moduleName));
  const rules = parseAliases(texts.alias ?? "");
  return {
    findByAlias(modalias) {
      const text = modalias.replaceAll("-", "_");
      const found = (rules.get(busOf(text)) ?? []).filter((rule) => matches(rule, text));
      return [...new Set(found.map(({ module }) => module))].filter((name) => !builtin.has(name));
    },
    find: (name) => entries.get(normalise(name)),
    isBuiltin: (name) => builtin.has(normalise(name)),
  };
}

function parseDependencies(text: string): Map<string, ModuleEntry> {
  const entries = new Map<string, ModuleEntry>();
  for (const line of readLines(text)) {
    const at = line.indexOf(":");
    if (at === -1) continue;
    const path = line.slice(0, at);
    // depmod lists the nearest first; the last of them depends on nothing.
    const needs = line
      .slice(at + 1)
      .split(/\s+/)
      .filter((word) => word !== "")
      .reverse();
    entries.set(moduleName(path), {
      name: moduleName(path),
      path,
      needs: needs.map(moduleName),
      wantsAfter: [],
    });
  }
  return entries;
}

function addSoftDependencies(entries: Map<string, ModuleEntry>, text: string): void {
  for (const line of readLines(text)) {
    const [keyword, name = "", ...words] = line.split(/\s+/);
    const entry = entries.get(normalise(name));
    if (keyword !== "softdep" || !entry) continue;
    let into: string[] | undefined;
    for (const word of words) {
      if (word === "pre:") into = entry.needs;
      else if (word === "post:") into = entry.wantsAfter;
      else into?.push(normalise(word));
    }
  }
}

function parseAliases(text: string): Map<string, AliasRule[]> {
  const rules = new Map<string, AliasRule[]>();
  for (const line of readLines(text)) {
    const [keyword, pattern = "", module] = line.split(/\s+/);
    if (keyword !== "alias" || !module) continue;
    const normal = pattern.replace(/\[[^\]]*\]|-/g, (part) => (part === "-" ? "_" : part));
    const rule = { prefix: /^[^*?[]*/.exec(normal)![0], pattern: normal, module: normalise(module) };
    const bus = busOf(normal);
    const ofBus = rules.get(bus);
    if (ofBus) ofBus.push(rule);
    else rules.set(bus, [rule]);
  }
  return rules;
}

function matches(rule: AliasRule, text: string): boolean {
  if (!text.startsWith(rule.prefix)) return false;
  rule.compiled ??= compilePattern(rule.pattern);
  return rule.compiled.test(text);
}

function compilePattern(pattern: string): RegExp {
  const source = pattern.replace(/\[[^\]]*\]|\*|\?|[^*?[]+|\[/g, (part) => {
    if (part === "*") return ".*";
    if (part === "?") return ".";
    if (part.startsWith("[") && part.length > 1) return part.replace(/^\[!/, "[^").replaceAll("\\", "\\\\");
    return part.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(`^${source}$`, "s");
}

/** "pci" of "pci:v…", "acpi" of "acpi*:PNP…": no pattern has a wildcard before its bus ends. */
function busOf(alias: string): string {
  return /^[^:*?[]*/.exec(alias)![0];
}

/** "virtio_net" of "kernel/drivers/net/virtio-net.ko.xz". */
function moduleName(path: string): string {
  return normalise(path.slice(path.lastIndexOf("/") + 1).replace(/\.ko(\.(xz|zst|gz))?$/, ""));
}

function normalise(name: string): string {
  return name.replaceAll("-", "_");
}

function readLines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

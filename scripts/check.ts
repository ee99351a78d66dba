/**
 * `npm run check`: types, format and lint, dead code, and the import table.
 * `npm test` runs it first.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const CHECKS = [
  { name: "types", command: "tsc", args: ["-p", "."] },
  { name: "format and lint", command: "biome", args: ["check", "--error-on-warnings", "."] },
  { name: "dead code", command: "knip", args: ["--no-progress"] },
  { name: "import table", command: "vitest", args: ["run", "--project", "unit", "test/unit/architecture"] },
];

export function runChecks(): boolean {
  const root = fileURLToPath(new URL("..", import.meta.url));
  // The tools find `node` in PATH; it must be the pinned one.
  const env = { ...process.env, PATH: `${root}node_modules/.bin:${process.env.PATH}` };
  let allGood = true;
  for (const { name, command, args } of CHECKS) {
    const startedAt = performance.now();
    const result = spawnSync(command, args, { cwd: root, env, encoding: "utf8" });
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    const good = result.status === 0;
    console.log(`check: ${name}: ${good ? "good" : "FAILED"} (${seconds} s)`);
    if (!good) console.log(`${result.stdout}${result.stderr}`);
    allGood &&= good;
  }
  return allGood;
}

if (import.meta.main) process.exitCode = runChecks() ? 0 : 1;

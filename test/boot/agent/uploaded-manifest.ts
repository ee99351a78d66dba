/** Reads the manifest of uploaded results and checks it against the files. */
import { createHash } from "node:crypto";
import { expect } from "vitest";
import type { ResultsManifest } from "../../../agent/wire/results-manifest.ts";
import type { GuestRun } from "./farm-guest.ts";

/** Checks that every listed file has its hash, and that every other file is listed as removed by the test. */
export function expectTrueManifest({ results }: Pick<GuestRun, "results">): ResultsManifest {
  const manifest = JSON.parse(results.get("manifest.json") ?? "{}") as ResultsManifest;
  const lying = [...results].filter(([name]) => name !== "manifest.json" && name !== "verdict.json");
  const said = [...manifest.files, ...manifest.removed].map(({ name, sha256 }) => [name, sha256]);
  const sha256Of = (text: string) => createHash("sha256").update(text).digest("hex");
  expect(said.sort()).toEqual(lying.map(([name, text]) => [name, sha256Of(text)]).sort());
  expect(manifest).toMatchObject({ count: manifest.files.length, missing: [], vanished: [] });
  return manifest;
}

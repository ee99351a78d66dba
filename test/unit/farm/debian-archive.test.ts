/** A new root inherits only apt's settings for access to the archive. */
import { expect, test } from "vitest";
import { pickAptOptions } from "../../../qemu/debian-archive.ts";

const CASES: readonly [line: string, isCarried: boolean][] = [
  ['Acquire::http::Proxy "http://proxy:3128";', true],
  ['Acquire::https::CaInfo "/etc/ssl/farm.pem";', true],
  ['Acquire::https::Verify-Peer "true";', true],
  ['Acquire::Retries "3";', true],
  ['Acquire::Check-Valid-Until "false";', true],
  ['Acquire::http "";', false],
  ['Acquire::httpx::Proxy "x";', false],
  ['Acquire::IndexTargets::deb::Packages::Optional "0";', false],
  ['APT::Update::Post-Invoke-Success:: "/bin/echo";', false],
  ['Dir::Cache "var/cache/apt";', false],
];

test.each(CASES)("%s", (line, isCarried) => {
  expect(pickAptOptions(`${line}\n`)).toEqual(isCarried ? [line] : []);
});

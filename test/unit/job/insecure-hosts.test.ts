/** The parser and the transport have one opinion on plain HTTP. */
import { describe, expect, it } from "vitest";
import { isHostInsecure } from "../../../agent/job/insecure-hosts.ts";
import { parseHosts } from "../../../agent/job/syntax/values.ts";
import { UrlPolicy } from "../../../agent/net/http/url-policy.ts";

describe("dut.insecure", () => {
  it.each([
    ["a.farm", "http://a.farm/x", true],
    ["A.Farm", "http://a.farm:8080/x", true],
    ["a.farm:80", "http://a.farm/x", true],
    ["a.farm:80", "http://a.farm:81/x", false],
    ["a.farm:443", "https://a.farm/x", true],
    ["b.farm,a.farm", "https://A.FARM/x", true],
    ["farm", "http://a.farm/x", false],
    ["a.farm", "http://a.farm.evil/x", false],
    ["[fd00::1]:80", "http://[fd00::1]/x", true],
    ["10.0.0.1", "http://10.0.0.1:5000/", true],
  ])("%s for %s: %s", (hosts, text, isAllowed) => {
    const url = new URL(text);
    expect(isHostInsecure(url, parseHosts(hosts))).toBe(isAllowed);
    expect(new UrlPolicy(parseHosts(hosts)).isInsecure(url)).toBe(isAllowed);
  });
});

import { describe, expect, it } from "vitest";
import { completeFarmJob, type FarmFacts } from "../../../scripts/farm-job.ts";

const FARM: FarmFacts = {
  addresses: { registry: "10.0.2.2:1", https: "https://10.0.2.2:2" },
  image: "10.0.2.2:1/t@sha256:0",
  artifact: { url: "https://10.0.2.2:2/install.tar.zst", sha256: "ab" },
  s3Url: "http://10.0.2.2:3",
  s3Region: "r",
  resultsBucket: "results",
  resultsPrefix: "run-1",
  plainHosts: ["10.0.2.2:3"],
};

const OF_FARM =
  "dut.image=10.0.2.2:1/t@sha256:0 dut.s3=http://10.0.2.2:3,region=r dut.results=s3://results/run-1 dut.insecure=10.0.2.2:3";

/** Braces that belong to the job. */
const SHELL_BRACES = `dut.run="echo $\{registry} {other} {}"`;

describe("completeFarmJob", () => {
  it("returns the test job if there is no command line", () => {
    expect(completeFarmJob(undefined, FARM).commandLine).toBe(
      `${OF_FARM} dut.artifact=https://10.0.2.2:2/install.tar.zst,sha256=ab dut.run="/install/run-vulkaninfo.sh" dut.timeout=10m dut.end`,
    );
  });

  it("adds only what a line does not have", () => {
    const { commandLine, added } = completeFarmJob("dut.image=x dut.insecure=y", FARM);
    expect(added).toEqual(["dut.s3=http://10.0.2.2:3,region=r", "dut.results=s3://results/run-1"]);
    expect(commandLine).toBe(`${added.join(" ")} dut.image=x dut.insecure=y dut.end`);
  });

  it("leaves results alone when the S3 service is not the farm's", () => {
    expect(completeFarmJob("dut.image=x dut.s3=y", FARM).added).toEqual(["dut.insecure=10.0.2.2:3"]);
  });

  it.for([
    ["dut.image={registry}/a:1", "dut.image=10.0.2.2:1/a:1"],
    ["dut.artifact={https}/a.tar,to=/{registry}", "dut.artifact=https://10.0.2.2:2/a.tar,to=/10.0.2.2:1"],
    [SHELL_BRACES, SHELL_BRACES],
  ])("fills the farm's addresses into %s", ([line, filled]) => {
    expect(completeFarmJob(line!, FARM).commandLine.endsWith(`${filled} dut.end`)).toBe(true);
  });

  it("reads the line as the kernel does", () => {
    const line = `dut.run="echo dut.image=x" -- dut.s3=y`;
    expect(completeFarmJob(line, FARM).commandLine).toBe(`${OF_FARM} ${line}`);
  });

  it.each([
    "b2c.run=h:1/i",
    "root=/dev/nfs",
    "dut.rootfs=file:/r dut.run=x",
    "dut.step=h:1/i",
    "dut.job=https://a/j",
  ])("names no image where the line has a root of its own: %s", (line) => {
    expect(completeFarmJob(line, FARM).added.join(" ")).not.toContain("dut.image");
  });
});

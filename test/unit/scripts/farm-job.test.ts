import { describe, expect, it } from "vitest";
import { completeFarmJob, type FarmFacts } from "../../../scripts/farm-job.ts";

const FARM: FarmFacts = {
  image: "10.0.2.2:1/t@sha256:0",
  artifact: { url: "https://10.0.2.2:2/install.tar.zst", sha256: "ab" },
  s3Url: "http://10.0.2.2:3",
  s3Region: "r",
  resultsBucket: "results",
  resultsPrefix: "run-1",
  plainHosts: ["10.0.2.2:3"],
};

describe("completeFarmJob", () => {
  it("gives the test job where no line is given", () => {
    const { commandLine } = completeFarmJob(undefined, new Set(), FARM);
    expect(commandLine).toBe(
      'dut.artifact=https://10.0.2.2:2/install.tar.zst,sha256=ab dut.run="/install/run-vulkaninfo.sh" dut.timeout=10m ' +
        "dut.image=10.0.2.2:1/t@sha256:0 dut.s3=http://10.0.2.2:3,region=r dut.results=s3://results/run-1 dut.insecure=10.0.2.2:3",
    );
  });

  it("adds only what a line does not have", () => {
    const given = new Set(["dut.image", "dut.insecure"]);
    const { commandLine, added } = completeFarmJob("dut.image=x dut.insecure=y", given, FARM);
    expect(added).toEqual(["dut.s3=http://10.0.2.2:3,region=r", "dut.results=s3://results/run-1"]);
    expect(commandLine).toBe(`dut.image=x dut.insecure=y ${added.join(" ")}`);
  });

  it("leaves results alone when the S3 service is not the farm's", () => {
    const { added } = completeFarmJob("dut.image=x dut.s3=y", new Set(["dut.image", "dut.s3"]), FARM);
    expect(added).toEqual(["dut.insecure=10.0.2.2:3"]);
  });
});

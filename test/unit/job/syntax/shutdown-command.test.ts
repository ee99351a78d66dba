import { describe, expect, it } from "vitest";
import { parseEndCommands } from "../../../../agent/job/syntax/shutdown-command.ts";

const parse = (text: string) => parseEndCommands(text, (name) => (name === "CODE" ? "3" : undefined));

describe("shutdown commands", () => {
  it.each([
    ["poweroff -f", [{ program: "poweroff", args: ["-f"] }]],
    [
      "echo JOB_RESULT=$CODE; poweroff -f",
      [
        { program: "echo", args: ["JOB_RESULT=3"] },
        { program: "poweroff", args: ["-f"] },
      ],
    ],
    ["sync && sleep 1 ;\nreboot", [{ program: "sync" }, { program: "sleep" }, { program: "reboot" }]],
    ["", []],
  ])("%j", (text, commands) => {
    expect(parse(text)).toMatchObject(commands);
    expect(parse(text)).toHaveLength(commands.length);
  });

  it.each(["rm -rf /", "echo x > /dev/kmsg", "echo x | tee y", "echo $(id)", "echo 'x", "poweroff &"])(
    "refused: %s",
    (text) => {
      expect(() => parse(text)).toThrow(/only|closed|needs a shell/);
    },
  );
});

/**
 * `dutboot composefs`: a composefs image, or its digest, from a composefs-dump text, as mkcomposefs --from-file makes it.
 * A bad dump is told with its line and code, and exit code 202 (the input is wrong); a wrong call is exit code 2.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { writeErofsImage } from "../agent/composefs/erofs-image.ts";
import { computeFsVerityDigest } from "../agent/composefs/fsverity.ts";
import { AgentError, EXIT_CODE_BY_BLAME } from "../agent/errors.ts";
import { type Command, type CommandInput, UsageError } from "./command.ts";
import { parseDump } from "./composefs-dump/dump-parser.ts";

const STANDARD_INPUT = "-";
const STDIN_FD = 0;

export const composefsCommand: Command = {
  name: "composefs",
  summary: "Make a composefs image from a composefs-dump text, and print its fs-verity digest",
  operands: "DUMPFILE",
  options: {
    format: { type: "string", value: "0|1", help: "Format version of the image (default: 1)" },
    digest: { type: "boolean", help: "Print the image's fs-verity digest (the default without --output)" },
    output: { type: "string", value: "FILE", help: "Write the image to FILE" },
  },
  examples: [
    "dutboot composefs root.dump",
    "dutboot composefs --format 0 --output root.cfs root.dump",
    "dutboot composefs --digest --output root.cfs - < root.dump",
  ],
  async run(input) {
    const formatVersion = readFormat(input);
    const path = readOperand(input);
    const output = input.text("output");
    try {
      const image = writeErofsImage(parseDump(readInput(path)), { formatVersion });
      if (output !== undefined) writeOutput(output, image);
      if (output === undefined || input.flag("digest")) {
        process.stdout.write(`${computeFsVerityDigest(image).toString("hex")}\n`);
      }
      return 0;
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      process.stderr.write(`dutboot: ${path}: ${error.message} (${error.code})\n${error.hint}\n`);
      return EXIT_CODE_BY_BLAME[error.blame];
    }
  },
};

function readFormat(input: CommandInput): 0 | 1 {
  const text = input.text("format") ?? "1";
  if (text === "0") return 0;
  if (text === "1") return 1;
  throw new UsageError(`Cannot write format "${text}": 0 and 1 are known`);
}

function readOperand({ operands }: CommandInput): string {
  const [path, ...others] = operands;
  if (path === undefined || others.length > 0)
    throw new UsageError("Cannot tell what to read: give one DUMPFILE");
  return path;
}

function readInput(path: string): Buffer {
  try {
    return readFileSync(path === STANDARD_INPUT ? STDIN_FD : path);
  } catch (error) {
    throw new UsageError(`Cannot read "${path}": ${(error as Error).message}`, { cause: error });
  }
}

function writeOutput(path: string, image: Buffer): void {
  try {
    writeFileSync(path, image);
  } catch (error) {
    throw new UsageError(`Cannot write "${path}": ${(error as Error).message}`, { cause: error });
  }
}

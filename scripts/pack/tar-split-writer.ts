/**
 * Writes the tar-split of a chunked archive: JSON lines with the literal bytes and the positions of the contents.
 * It groups them as vbatts/tar-split does: one segment for a member's padding and headers, and one line per member.
 */

import { isUtf8 } from "node:buffer";
import type { TarMember } from "../../agent/archive/tar-entry.ts";
import { Crc64 } from "./crc64.ts";
import { FrameStream } from "./frame-writer.ts";
import { TAR_SPLIT_SEGMENT_BYTES } from "./limits.ts";

export class TarSplitWriter {
  readonly #stream: FrameStream;
  #position = 0;
  #literals: Buffer[] = [];
  #literalBytes = 0;
  #crc = new Crc64();

  constructor(level: number) {
    this.#stream = new FrameStream(level);
  }

  addLiteral(bytes: Buffer): void {
    this.#literals.push(Buffer.from(bytes));
    this.#literalBytes += bytes.length;
    // Only the bytes after the end of the archive can be that long, because headers are limited.
    while (this.#literalBytes > TAR_SPLIT_SEGMENT_BYTES) this.#writeSegment(TAR_SPLIT_SEGMENT_BYTES);
  }

  startContent(): void {
    if (this.#literalBytes > 0) this.#writeSegment(this.#literalBytes);
    this.#crc = new Crc64();
  }

  addContent(bytes: Buffer): void {
    this.#crc.update(bytes);
  }

  endContent({ path, statedSizeBytes }: TarMember): void {
    const name = Buffer.from(path, "latin1");
    const fields = isUtf8(name) ? { name: name.toString("utf8") } : { name_raw: name.toString("base64") };
    this.#writeLine({
      type: 1,
      ...fields,
      ...(statedSizeBytes > 0 && { size: statedSizeBytes }),
      payload: statedSizeBytes > 0 ? this.#crc.digest().toString("base64") : null,
    });
  }

  finish(): { frame: Buffer; plainBytes: number } {
    if (this.#literalBytes > 0) this.#writeSegment(this.#literalBytes);
    const frame = this.#stream.finish();
    return { frame, plainBytes: this.#stream.plainBytes };
  }

  #writeSegment(sizeBytes: number): void {
    const bytes = Buffer.concat(this.#literals);
    const rest = bytes.subarray(sizeBytes);
    this.#literals = rest.length > 0 ? [rest] : [];
    this.#literalBytes = rest.length;
    this.#writeLine({ type: 2, payload: bytes.toString("base64", 0, sizeBytes) });
  }

  #writeLine(fields: Record<string, unknown>): void {
    this.#stream.write(Buffer.from(`${JSON.stringify({ ...fields, position: this.#position++ })}\n`, "utf8"));
  }
}

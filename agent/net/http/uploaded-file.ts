/** Reads a file for an upload: as long as it was when the upload was planned, whatever is appended meanwhile. */
import { open } from "node:fs/promises";
import { AgentError } from "../../errors.ts";

export interface UploadedFile {
  path: string;
  sizeBytes: number;
}

/** Every chunk has a buffer of its own. Throws UPLOAD_FILE_CHANGED when the file has become shorter. */
export async function* readUploadedFile(
  { path, sizeBytes }: UploadedFile,
  chunkBytes: number,
): AsyncGenerator<Buffer> {
  const file = await open(path, "r");
  try {
    for (let offset = 0; offset < sizeBytes; ) {
      const length = Math.min(chunkBytes, sizeBytes - offset);
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, offset);
      if (bytesRead === 0)
        throw new AgentError("UPLOAD_FILE_CHANGED", `Cannot upload "${path}": it shrank to ${offset} bytes`);
      yield buffer.subarray(0, bytesRead);
      offset += bytesRead;
    }
  } finally {
    await file.close();
  }
}

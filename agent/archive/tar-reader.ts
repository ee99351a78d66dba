/**
 * Reads tar archives (ustar, pax, GNU, v7) as they come, on tar-stream's parser with its pax decoding replaced:
 * that one decodes binary values as UTF-8 and leaves uid, gid and mtime of pax out. Private methods, hence the exact version.
 */
import { extract } from "tar-stream";
import { AgentError } from "../errors.ts";
import { ARCHIVE_MAX_ENTRIES, TAR_HEADER_MAX_BYTES, TAR_HEADERS_PER_ENTRY } from "./limits.ts";
import { parsePaxRecords } from "./pax-records.ts";
import { showPath, type TarEntry } from "./tar-entry.ts";
import { type DecodedHeader, type PaxFields, readPaxFields, readTarEntry } from "./tar-header.ts";

/** Called in the order of the archive; what these throw comes out of `write`. */
export interface TarVisitor {
  onEntry(entry: TarEntry): void;
  /** A piece of the last file's content; the buffer is the reader's and is only good during the call. */
  onContent(chunk: Buffer): void;
  /** After the content, and for every entry without any. */
  onEntryEnd(): void;
}

export interface TarLimits {
  maxEntries?: number;
  maxHeaderBytes?: number;
}

export interface TarReader {
  /** Reads on, all before it returns; nothing of `chunk` is kept. Throws ARCHIVE_… and what the visitor throws. */
  write(chunk: Buffer): void;
  /** To be called after the last byte: throws ARCHIVE_TRUNCATED unless the archive's end mark was seen. */
  end(): void;
}

/** What this file uses of tar-stream 3.2.2's Extract. */
interface Parser {
  _buffer: { buffered: number; shift(size: number): Buffer; push(chunk: Buffer): void };
  _header: DecodedHeader | null;
  _stream: Content | null;
  _missing: number;
  _longHeader: boolean;
  _locked: boolean;
  _pax: PaxFields | null;
  _consumeHeader(): boolean;
  _applyLongHeaders(): void;
  _decodeLongHeader(bytes: Buffer): void;
  _createStream(): Content;
  _write(chunk: Buffer, done: (error: Error | null) => void): void;
  on(event: "entry", listener: (header: DecodedHeader) => void): void;
}

/** What tar-stream asks of an entry's stream; ours hands on at once, so that no byte waits in a queue. */
interface Content {
  push(chunk: Buffer | null): boolean;
  _detach(): void;
}

const BLOCK_BYTES = 512;
// Names byte for byte; v7 archives have no magic, the checksum is enough. (tar-stream's own types know neither option.)
const PARSER_OPTIONS: object = { filenameEncoding: "latin1", allowUnknownFormat: true };

export function createTarReader(
  visitor: TarVisitor,
  { maxEntries = ARCHIVE_MAX_ENTRIES, maxHeaderBytes = TAR_HEADER_MAX_BYTES }: TarLimits = {},
): TarReader {
  const parser = extract(PARSER_OPTIONS) as unknown as Parser;
  const decodeLongHeader = parser._decodeLongHeader.bind(parser);
  const consumeHeader = parser._consumeHeader.bind(parser);
  const applyLongHeaders = parser._applyLongHeaders.bind(parser);
  let globalPax: PaxFields | null = null;
  let zeroBlocks = 0;
  let entries = 0;
  let headersBefore = 0;
  let headerBytesBefore = 0;
  let ended = false;
  let failure: Error | undefined;

  const content: Content = {
    push(chunk) {
      if (chunk === null) visitor.onEntryEnd();
      else visitor.onContent(chunk);
      return true;
    },
    _detach() {
      const past = parser._header!.size % BLOCK_BYTES;
      parser._stream = null;
      parser._missing = past && BLOCK_BYTES - past;
    },
  };
  parser._createStream = () => content;

  parser._decodeLongHeader = (bytes) => {
    const { type } = parser._header!;
    if (type === "pax-global-header") globalPax = readPaxFields(parsePaxRecords(bytes), globalPax);
    else if (type === "pax-header") parser._pax = readPaxFields(parsePaxRecords(bytes), globalPax);
    else decodeLongHeader(bytes);
  };

  parser._consumeHeader = () => {
    const goesOn = consumeHeader();
    if (failure) return false;
    if (parser._header === null) countZeroBlock();
    else if (parser._longHeader) countLongHeader(parser._header.size);
    return goesOn;
  };

  // Runs once for each member, before tar-stream decides how much content follows.
  parser._applyLongHeaders = () => {
    applyLongHeaders();
    const header = parser._header!;
    // Archives of old mark directories by the slash alone; tar-stream means to see that, but looks too late.
    if (header.type === "file" && header.name.endsWith("/")) header.type = "directory";
    // As in Go's archive/tar and GNU tar: what is no file has no content, whatever its size field says.
    if (header.type !== "file" && header.type !== "contiguous-file") header.size = 0;
    if (zeroBlocks > 0) throw corrupt("a member follows an end mark");
    if (++entries > maxEntries) throw overLimit(`more than ${maxEntries} members`);
    headersBefore = 0;
    headerBytesBefore = 0;
  };

  parser.on("entry", (header) => {
    parser._locked = false;
    visitor.onEntry(readTarEntry(header, header.pax ?? globalPax));
    if (header.size === 0) visitor.onEntryEnd();
  });

  function countZeroBlock(): void {
    if (headersBefore > 0) throw corrupt("it ends after an extended header");
    if (++zeroBlocks < 2) return;
    // Whatever follows the end mark is padding, or another archive that other readers would not see either.
    ended = true;
    parser._buffer.shift(parser._buffer.buffered);
  }

  function countLongHeader(sizeBytes: number): void {
    if (zeroBlocks > 0) throw corrupt("a header follows an end mark");
    headerBytesBefore += sizeBytes;
    if (!(headerBytesBefore <= maxHeaderBytes))
      throw overLimit(`more than ${maxHeaderBytes} bytes of headers`);
    if (++headersBefore > TAR_HEADERS_PER_ENTRY)
      throw overLimit(`more than ${TAR_HEADERS_PER_ENTRY} headers`);
  }

  function overLimit(what: string): AgentError {
    const where = parser._header ? ` at ${showPath(parser._header.name)}` : "";
    return new AgentError("ARCHIVE_LIMIT_EXCEEDED", `Cannot read a tar archive: it has ${what}${where}`);
  }

  return {
    write(chunk) {
      if (ended) return;
      parser._write(chunk, (error) => {
        failure = error ?? undefined;
      });
      if (failure) throw describeFailure(failure, entries);
      keepRest(parser);
    },
    end() {
      if (ended) return;
      // One block of zeros and no more is an end mark that many writers make; GNU tar and Go take it, too.
      if (parser._missing === 0 && parser._buffer.buffered === 0 && zeroBlocks > 0) return;
      throw new AgentError(
        "ARCHIVE_TRUNCATED",
        `Cannot read a tar archive: it ends without an end mark, after ${entries} members`,
      );
    },
  };
}

/** What is left over of a chunk (part of a header) is copied, because the chunk's memory is used again. */
function keepRest({ _buffer: buffer }: Parser): void {
  if (buffer.buffered > 0) buffer.push(Buffer.from(buffer.shift(buffer.buffered)));
}

function describeFailure(error: Error, entries: number): AgentError {
  if (error instanceof AgentError) return error;
  // tar-stream's own bound, 4 MiB, which it holds before ours is asked.
  if (error.message === "Header exceeds max size") {
    return new AgentError(
      "ARCHIVE_LIMIT_EXCEEDED",
      "Cannot read a tar archive: a header has more than 4 MiB",
    );
  }
  if (entries > 0) return corrupt(error.message, error);
  return new AgentError(
    "ARCHIVE_UNKNOWN_FORMAT",
    "Cannot read an archive: it does not begin with a tar header",
    {
      cause: error,
    },
  );
}

function corrupt(why: string, cause?: Error): AgentError {
  return new AgentError("ARCHIVE_CORRUPT", `Cannot read a tar archive: ${why}`, { cause });
}

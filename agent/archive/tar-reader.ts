/**
 * Reads a stream of a tar archive (ustar, pax, GNU, v7) with tar-stream's parser. Its pax decoding is replaced, because it decodes
 * binary values as UTF-8 and ignores uid, gid and mtime. That takes private methods, so the version of tar-stream is pinned.
 */
import { extract } from "tar-stream";
import { AgentError } from "../errors.ts";
import { ARCHIVE_MAX_ENTRIES, TAR_HEADER_MAX_BYTES, TAR_HEADERS_PER_ENTRY } from "./limits.ts";
import { parsePaxRecords } from "./pax-records.ts";
import { showPath, type TarEntry } from "./tar-entry.ts";
import {
  createCorruptError,
  type DecodedHeader,
  type PaxFields,
  readPaxFields,
  readTarEntry,
} from "./tar-header.ts";

/** Called in the order of the archive; `write` throws what these throw. */
export interface TarVisitor {
  onEntry(entry: TarEntry): void;
  /** A piece of the current file's content; the buffer is only valid during the call. */
  onContent(chunk: Buffer): void;
  /** After the content, and for every entry without content. */
  onEntryEnd(): void;
}

export interface TarLimits {
  maxEntries?: number;
  maxHeaderBytes?: number;
}

export interface TarReader {
  /** Reads the chunk synchronously and keeps no reference to it. Throws ARCHIVE_… and what the visitor throws. */
  write(chunk: Buffer): void;
  /** Call this after the last byte: it throws ARCHIVE_TRUNCATED unless there was an end mark. */
  end(): void;
}

/** The parts of tar-stream 3.2.2's Extract that this file uses. */
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

/** What tar-stream expects of an entry's stream. Ours passes content on at once, without a queue. */
interface Content {
  push(chunk: Buffer | null): boolean;
  _detach(): void;
}

const BLOCK_BYTES = 512;
// Names stay bytes; v7 archives have no magic, only the checksum. The types of tar-stream lack both options.
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
    // v7 archives mark directories by a trailing slash only; tar-stream checks that too late.
    if (header.type === "file" && header.name.endsWith("/")) header.type = "directory";
    // As in Go's archive/tar and GNU tar, only files have content, whatever the size field of other members says.
    if (header.type !== "file" && header.type !== "contiguous-file") header.size = 0;
    if (zeroBlocks > 0) throw createCorruptError("a member follows an end mark");
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
    if (headersBefore > 0) throw createCorruptError("it ends after an extended header");
    if (++zeroBlocks < 2) return;
    // Padding may follow, or another archive, which other readers ignore too.
    ended = true;
    parser._buffer.shift(parser._buffer.buffered);
  }

  function countLongHeader(sizeBytes: number): void {
    if (zeroBlocks > 0) throw createCorruptError("a header follows an end mark");
    headerBytesBefore += sizeBytes;
    if (!(headerBytesBefore <= maxHeaderBytes))
      throw overLimit(`more than ${maxHeaderBytes} bytes of headers`);
    if (++headersBefore > TAR_HEADERS_PER_ENTRY)
      throw overLimit(`more than ${TAR_HEADERS_PER_ENTRY} headers`);
  }

  function overLimit(what: string): AgentError {
    const where = parser._header ? ` at ${showPath(parser._header.name)}` : "";
    return new AgentError("ARCHIVE_LIMIT_EXCEEDED", `Cannot read the tar archive: it has ${what}${where}`);
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
      // Many writers end an archive with one block of zeros; GNU tar and Go accept it too.
      if (parser._missing === 0 && parser._buffer.buffered === 0 && zeroBlocks > 0) return;
      throw new AgentError(
        "ARCHIVE_TRUNCATED",
        `Cannot read the tar archive: no end mark after ${entries} members`,
      );
    },
  };
}

/** Copies the unread rest of a chunk (part of a header), because the chunk's memory is reused. */
function keepRest({ _buffer: buffer }: Parser): void {
  if (buffer.buffered > 0) buffer.push(Buffer.from(buffer.shift(buffer.buffered)));
}

function describeFailure(error: Error, entries: number): AgentError {
  if (error instanceof AgentError) return error;
  // tar-stream checks its own limit of 4 MiB before ours.
  if (error.message === "Header exceeds max size") {
    return new AgentError("ARCHIVE_LIMIT_EXCEEDED", "Cannot read the tar archive: a header exceeds 4 MiB");
  }
  if (entries > 0) return createCorruptError(error.message, error);
  const message = "Cannot read the archive: it does not begin with a tar header";
  return new AgentError("ARCHIVE_UNKNOWN_FORMAT", message, { cause: error });
}

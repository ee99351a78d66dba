/**
 * Volumes on the disk: `VOLUMES/NAME/data` is the volume, `VOLUMES/NAME/volume.json` has its expiration. The next boot removes
 * expired volumes that a boot could not remove because of a crash or a power cut.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { AgentError } from "../errors.ts";
import type { Volume } from "../job/volume.ts";
import { FILE_NAME_MAX_BYTES } from "../limits.ts";

type Expiration = Volume["expiration"];

/** Our own volumes begin with an underscore; a job's names cannot. */
const NAME = /^[a-zA-Z0-9_][\w.-]*$/;
const MARKER = "volume.json";

export interface VolumeDirectory {
  name: string;
  /** What containers see. */
  dataPath: string;
}

export interface VolumeDirectories {
  /** Creates the volume where it is missing. Throws VOLUME_BAD_NAME, VOLUME_UNUSABLE. */
  make(name: string, expiration: Expiration): VolumeDirectory;
  /** Symlinks are not followed. */
  remove(name: string): Promise<void>;
  /** Removes volumes that expired before this boot; returns their names. */
  removeExpired(): Promise<string[]>;
}

export function createVolumeDirectories(volumesDir: string): VolumeDirectories {
  const pathOf = (name: string) => {
    if (!NAME.test(name) || Buffer.byteLength(name) > FILE_NAME_MAX_BYTES)
      throw new AgentError("VOLUME_BAD_NAME", `Cannot use volume "${name}": the name is invalid`);
    return join(volumesDir, name);
  };
  const remove = (name: string) => rm(pathOf(name), { recursive: true, force: true });

  return {
    remove,

    make(name, expiration) {
      const path = pathOf(name);
      const dataPath = join(path, "data");
      try {
        mkdirSync(path, { recursive: true, mode: 0o700 });
        // Before the volume has any data.
        if (readMarker(path) !== expiration) writeMarker(path, expiration);
        mkdirSync(dataPath, { recursive: true, mode: 0o755 });
        return { name, dataPath };
      } catch (cause) {
        throw describeFailure("create", name, cause);
      }
    },

    async removeExpired() {
      const names = listNames(volumesDir).filter(
        (name) => NAME.test(name) && readMarker(join(volumesDir, name)) === "pipeline_end",
      );
      for (const name of names) {
        await remove(name).catch((cause: unknown) => {
          throw describeFailure("remove", name, cause);
        });
      }
      return names;
    },
  };
}

function listNames(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function describeFailure(verb: string, name: string, cause: unknown): AgentError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new AgentError("VOLUME_UNUSABLE", `Cannot ${verb} volume "${name}": ${code ?? message}`, { cause });
}

/** undefined for an unreadable marker: the volume is kept. */
function readMarker(path: string): Expiration | undefined {
  try {
    const { expiration } = JSON.parse(readFileSync(join(path, MARKER), "utf8"));
    return expiration === "pipeline_end" || expiration === "never" ? expiration : undefined;
  } catch {
    return undefined;
  }
}

function writeMarker(path: string, expiration: Expiration): void {
  const temporary = join(path, `${MARKER}.new`);
  writeFileSync(temporary, `${JSON.stringify({ expiration })}\n`, { flush: true });
  renameSync(temporary, join(path, MARKER));
}

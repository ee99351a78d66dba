/**
 * The mirror of one volume: both directions, one run at a time. Two directions with the same location share their state.
 */

import { AgentError } from "../errors.ts";
import type { Mirror, MirrorCondition, Volume } from "../job/volume.ts";
import type { LiveMirrorLimits } from "./limits.ts";
import { followBucket, followFiles } from "./live-mirror.ts";
import { LocalTree } from "./local-files.ts";
import type { MirrorEnd, VolumeLog } from "./mirror-run.ts";
import { MirrorState } from "./mirror-state.ts";
import type { OpenBucket } from "./object-bucket.ts";
import { formatKeyPrefix } from "./object-bucket.ts";
import { createPullMirror } from "./pull-mirror.ts";
import { createPushMirror } from "./push-mirror.ts";

export interface VolumeMirror {
  runHook(on: MirrorCondition, options: { signal: AbortSignal }): Promise<void>;
  /** Follows changes until `finish`. */
  startLive(): void;
  /** Stops following, then makes one last complete run. */
  finish(options: { signal: AbortSignal }): Promise<void>;
}

export interface VolumeMirrorOptions {
  openBucket: OpenBucket;
  liveLimits?: Partial<LiveMirrorLimits>;
  log: VolumeLog;
}

/** A volume's directory, and whether it may lack files for no act of the job: it was empty, and no container ran with it yet. */
export interface MirroredDirectory {
  dataPath: string;
  isEmptied(): boolean;
}

/** undefined for a volume without mirrors. Throws VOLUME_NO_ALIAS, VOLUME_BAD_KEY. */
export function createVolumeMirror(
  volume: Volume,
  { dataPath, isEmptied }: MirroredDirectory,
  { openBucket, liveLimits = {}, log }: VolumeMirrorOptions,
): VolumeMirror | undefined {
  const { name, mirrorOptions } = volume;
  let isEncrypted = false;
  const openEnd = (mirror: Mirror): MirrorEnd => {
    const { alias, bucket } = mirror;
    const { encryptKey } = mirrorOptions;
    const encryptionKey =
      encryptKey === undefined ? undefined : parseEncryptKey(encryptKey, { volume: name, mirror });
    isEncrypted ||= encryptionKey !== undefined;
    const prefix = formatKeyPrefix(mirror.prefix);
    return {
      bucket: openBucket({ alias, bucket, encryptionKey }),
      prefix,
      location: `${alias}/${bucket}/${prefix}`,
    };
  };
  const enabled = (mirror: Mirror | undefined) => (mirror && mirror.on.length > 0 ? mirror : undefined);
  const pull = enabled(volume.pull);
  const push = enabled(volume.push);
  if (!pull && !push) return undefined;
  const pullEnd = pull && openEnd(pull);
  const pushEnd = push && openEnd(push);

  const tree = new LocalTree(dataPath);
  const createContext = () => {
    const state = new MirrorState(tree, { hasMd5: !isEncrypted });
    return { volume: name, tree, state, options: mirrorOptions, log };
  };
  const pullContext = createContext();
  const isOneLocation = pullEnd?.location === pushEnd?.location;
  const pushContext = isOneLocation ? pullContext : createContext();
  const follows = (mirror: Mirror | undefined) => mirror?.on.includes("changes") ?? false;
  const live = { isTwoWay: isOneLocation && follows(pull) && follows(push) };
  // A pull that is only due after a step does not hold the step's push back.
  let isPullComplete = !pull?.on.some((on) => !on.endsWith("_end"));
  let isPushFailed = false;
  const findGap = () => {
    if (!isPullComplete) return "the volume's pull was not completed";
    return !pull && isEmptied() ? "the volume was empty and no container has used it" : undefined;
  };
  const hasUnpushed = () => isOneLocation && isPushFailed;
  const puller = pullEnd && createPullMirror(pullEnd, pullContext, { ...live, hasUnpushed });
  const isPulled = pullEnd !== undefined && isOneLocation;
  const pusher = pushEnd && createPushMirror(pushEnd, pushContext, { ...live, isPulled, findGap });

  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <Result>(run: () => Promise<Result>): Promise<Result> => {
    const mine = turn.then(run, run);
    turn = mine.catch(() => {});
    return mine;
  };
  const stop = new AbortController();
  const followers: Promise<void>[] = [];

  const runPull = (signal: AbortSignal) =>
    inTurn(async () => {
      isPullComplete = false;
      const isWhole = await puller?.pullAll({ signal });
      // What a pull skipped is in its own bucket still; another bucket may have its only copy.
      isPullComplete = isWhole === true || isOneLocation;
    });
  const runPush = (signal: AbortSignal) =>
    inTurn(async () => {
      isPushFailed = true;
      await pusher?.pushAll({ signal });
      isPushFailed = false;
    });

  return {
    async runHook(on, { signal }) {
      // A live pull completes its first run before a container starts.
      const pullsNow = pull?.on.includes(on) || (on === "pipeline_start" && follows(pull));
      const pushesNow = push?.on.includes(on) ?? false;
      const isStart = on.endsWith("_start");
      // After a step, results are pushed before a pull can replace them.
      if (pushesNow && !isStart) await runPush(signal);
      if (pullsNow) await runPull(signal);
      if (pushesNow && isStart) await runPush(signal);
    },

    startLive() {
      if (followers.length > 0 || stop.signal.aborted) return;
      const options = { volume: name, log, signal: stop.signal, inTurn, limits: liveLimits };
      if (puller && follows(pull)) followers.push(followBucket(puller, options));
      if (pusher && follows(push)) followers.push(followFiles(pusher, dataPath, options));
    },

    async finish({ signal }) {
      stop.abort(new Error("The steps are over"));
      try {
        await Promise.all(followers);
        const wasLive = followers.length > 0;
        if (wasLive && follows(push)) await runPush(signal);
        if (wasLive && follows(pull)) await runPull(signal);
      } finally {
        tree.close();
      }
    },
  };
}

const KEY_BYTES = 32;

/** The key, if it covers the mirror's location. Throws VOLUME_BAD_KEY. Messages do not contain the key. */
export function parseEncryptKey(
  text: string,
  { volume, mirror }: { volume: string; mirror: Pick<Mirror, "alias" | "bucket" | "prefix"> },
): Buffer | undefined {
  const whole = decodeKey(text);
  if (whole) return whole;
  const [, scope = "", keyText = ""] = /^([^=/]+\/[^=]*)=(.*)$/s.exec(text) ?? [];
  const key = decodeKey(keyText);
  if (!key) {
    throw new AgentError(
      "VOLUME_BAD_KEY",
      `Cannot mirror volume "${volume}": its encrypt_key is not ${KEY_BYTES} bytes in hex, base64 or plain`,
    );
  }
  const location = `${[mirror.alias, mirror.bucket, mirror.prefix].filter(Boolean).join("/")}/`;
  return location.startsWith(scope.replace(/\/*$/, "/")) ? key : undefined;
}

function decodeKey(text: string): Buffer | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, "hex");
  if (/^[A-Za-z0-9+/]{43}=?$/.test(text)) return Buffer.from(text, "base64");
  const plain = Buffer.from(text);
  return plain.length === KEY_BYTES ? plain : undefined;
}

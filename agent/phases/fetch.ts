/**
 * Phase "fetch": the manifest, config and layers of each image, several layers at a time.
 * The root driver verifies and unpacks a layer while it streams; the compressed layer is not stored.
 */
import { AgentError, toAgentError } from "../errors.ts";
import { formatStepImage } from "../job/explain/plan.ts";
import type { Job } from "../job/job.ts";
import type { StepImage } from "../job/step.ts";
import type { RegistryClient, ResolvedImage } from "../net/registry/registry.ts";
import type { ImageConfig } from "../oci/image.ts";
import type { ImageReference } from "../oci/reference.ts";
import { formatImageReference } from "../oci/reference.ts";
import type { Progress, startProgress } from "../report/log/progress.ts";
import type {
  LayerSource,
  MountedRoot,
  RootDriver,
  RootLayer,
  RootOptions,
  UnpackOptions,
} from "../root/root-driver.ts";
import { formatMegabytes } from "../text.ts";
import type { EventBody } from "../wire/event.ts";
import { LAYERS_AT_A_TIME } from "./limits.ts";
import type { PhaseContext } from "./phase-runner.ts";

export interface FetchAdapters {
  registry: RegistryClient;
  rootDriver: RootDriver;
  startProgress: typeof startProgress;
  emit: (event: EventBody) => void;
  platform: { os: string; architecture: string; variant?: string };
  /** Free space in the store. */
  readFreeBytes: () => number;
}

export interface FetchedImage {
  image: ResolvedImage;
  /** The lowest first. */
  layers: RootLayer[];
}

/** An image that can be run: fetched, or found in an image store. */
export interface ReadyImage {
  config: ImageConfig;
  mount(options: RootOptions): Promise<MountedRoot>;
}

/** Images by name; an error where the image could not be fetched. */
export type ReadyImages = ReadonlyMap<string, ReadyImage | AgentError>;

export interface ImageAdapters extends FetchAdapters {
  /** Searches the image stores that the job mounts. */
  findStoredImage(image: StepImage): (ReadyImage & { id: string }) | undefined;
}

/** Fetches the images of the root and of every step. An image that only a step needs may fail: the step then fails in its turn. */
export async function fetchImages(
  { root, steps }: Job,
  context: PhaseContext,
  adapters: ImageAdapters,
): Promise<ReadyImages> {
  const images = new Map<string, ReadyImage | AgentError>();
  if (root && "image" in root)
    images.set(formatStepImage(root.image), await prepareImage(root.image, context, adapters));
  for (const { image } of steps) {
    if (!image) continue;
    const name = formatStepImage(image);
    if (images.has(name)) continue;
    const prepared = await prepareImage(image, context, adapters).catch((thrown: unknown) => {
      context.signal.throwIfAborted();
      const error = toAgentError(thrown);
      context.log.error(`fetch: ${error.code} (blame: ${error.blame}): ${error.message}. ${error.hint}`);
      return error;
    });
    images.set(name, prepared);
  }
  return images;
}

async function prepareImage(
  image: StepImage,
  context: PhaseContext,
  adapters: ImageAdapters,
): Promise<ReadyImage> {
  const name = formatStepImage(image);
  const stored = adapters.findStoredImage(image);
  if (stored) {
    context.log.info(`fetch: ${name} is ${stored.id.slice(0, 12)} in an image store, so nothing is fetched`);
    return stored;
  }
  if ("id" in image) {
    throw new AgentError("IMAGE_NOT_FOUND", `Cannot find image "${name}": no image store has this id`, {
      hint: "Name the image by its registry, repository and tag or digest, or mount the image store that has it",
    });
  }
  const { image: resolved, layers } = await fetchImage(image, context, adapters);
  return { config: resolved.config, mount: (options) => adapters.rootDriver.mount(layers, options) };
}

export async function fetchImage(
  reference: ImageReference,
  { log, signal }: Pick<PhaseContext, "log" | "signal">,
  adapters: FetchAdapters,
): Promise<FetchedImage> {
  adapters.rootDriver.warmUp();
  const image = await adapters.registry.resolveImage(reference, adapters.platform, { signal });
  const totalBytes = image.layers.reduce((sum, layer) => sum + layer.sizeBytes, 0);
  const name = formatImageReference(reference);
  log.info(
    `fetch: ${name} is ${image.manifestDigest}, ${image.layers.length} layers, ${formatMegabytes(totalBytes)} MB`,
  );
  adapters.rootDriver.expectLayers(image.layers.map(({ diffId }) => diffId));
  const missing = image.layers.filter(({ diffId }) => !adapters.rootDriver.hasLayer(diffId));
  checkFreeSpace(
    name,
    missing.reduce((sum, layer) => sum + layer.sizeBytes, 0),
    adapters.readFreeBytes(),
  );

  const progress = adapters.startProgress({ title: "fetch", totalBytes, onLine: (line) => log.info(line) });
  const layers: RootLayer[] = [];
  // The first failure stops the others, and is the error of the phase.
  const stop = new AbortController();
  const anySignal = AbortSignal.any([signal, stop.signal]);
  const waiting = image.layers.entries();
  const pullNext = async () => {
    for (const [index, layer] of waiting) {
      const source: LayerSource = {
        digest: layer.digest,
        diffId: layer.diffId,
        sizeBytes: layer.sizeBytes,
        open: () => adapters.registry.openBlob(reference, layer, { signal: anySignal }),
        parts: {
          annotations: layer.annotations,
          ...adapters.registry.openRanges(reference, layer),
        },
      };
      const pull = () =>
        trackTransfer({ kind: "layer", name: layer.digest }, { progress, emit: adapters.emit }, (counters) =>
          adapters.rootDriver.addLayer(source, { signal: anySignal, ...counters }),
        );
      layers[index] = await pullFromEachHost(pull, () => adapters.registry.rejectBlob(layer));
    }
  };
  try {
    await allOrFirstFailure(Array.from({ length: LAYERS_AT_A_TIME }, pullNext), stop);
  } finally {
    progress.stop();
  }
  return { image, layers };
}

/** Pulls again while `reject` finds another host after wrong bytes. */
async function pullFromEachHost<Result>(pull: () => Promise<Result>, reject: () => boolean): Promise<Result> {
  for (;;) {
    try {
      return await pull();
    } catch (error) {
      const isDamaged =
        error instanceof AgentError && ["LAYER_DIGEST_MISMATCH", "LAYER_SIZE_MISMATCH"].includes(error.code);
      if (!isDamaged || !reject()) throw error;
    }
  }
}

/** Waits for all work even after a failure: nothing may write when the phase is over. */
async function allOrFirstFailure(work: Promise<void>[], stop: AbortController): Promise<void> {
  let first: { error: unknown } | undefined;
  const watched = work.map((each) =>
    each.catch((error: unknown) => {
      first ??= { error };
      stop.abort(error);
    }),
  );
  await Promise.all(watched);
  if (first) throw first.error;
}

function checkFreeSpace(name: string, neededBytes: number, freeBytes: number): void {
  if (neededBytes <= freeBytes) return;
  throw new AgentError(
    "ROOT_NO_SPACE",
    `Cannot fetch "${name}": its layers are ${formatMegabytes(neededBytes)} MB compressed, the store has ${formatMegabytes(freeBytes)} MB`,
  );
}

/** Counts the bytes of one layer or archive for the progress, and emits an event at its end, also after a failure. */
export async function trackTransfer<Result>(
  what: { kind: "layer" | "archive"; name: string },
  { progress, emit }: { progress: Progress; emit: (event: EventBody) => void },
  pull: (counters: Required<Pick<UnpackOptions, "onProgress" | "onReuse">>) => Promise<Result>,
): Promise<Result> {
  const startedAt = performance.now();
  let fetchedBytes = 0;
  let reusedBytes = 0;
  try {
    return await pull({
      onProgress({ bytesIn }) {
        progress.add(bytesIn - fetchedBytes);
        fetchedBytes = bytesIn;
      },
      onReuse(bytes) {
        progress.reuse(bytes);
        reusedBytes += bytes;
      },
    });
  } finally {
    const durationMs = Math.round(performance.now() - startedAt);
    emit({ event: "transfer", ...what, fetchedBytes, reusedBytes, durationMs });
  }
}

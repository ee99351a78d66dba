/**
 * Phase "assemble": the job's root is mounted from what was fetched, and the volumes are made ready.
 */
import { AgentError } from "../errors.ts";
import { formatStepImage } from "../job/explain/plan.ts";
import type { ArchiveRoot, InitrdRoot, Job, NfsRoot } from "../job/job.ts";
import type { Step, StepImage } from "../job/step.ts";
import type { MountedRoot, RootDriver, RootLayer, RootOptions } from "../root/root-driver.ts";
import type { ReadyImages } from "./fetch.ts";
import type { PhaseContext } from "./phase-runner.ts";
import type { StepRoot } from "./steps.ts";

export interface AssembleAdapters {
  rootDriver: RootDriver;
  /** A place of its own for each root that is mounted. */
  planRootPlace(name?: string): RootOptions;
  mountOtherRoot(root: NfsRoot | InitrdRoot, place: RootOptions, context: PhaseContext): Promise<MountedRoot>;
}

/** What a root that is no image says of its commands. */
const NO_CONFIG: StepRoot["config"] = { env: [], entrypoint: [], cmd: [], workingDir: "/", user: "" };

/** A root with the config of its image, which stays mounted to the end of the job. */
export interface JobRoot {
  root: MountedRoot;
  config: StepRoot["config"];
}

export async function mountJobRoot(
  root: NonNullable<Job["root"]>,
  fetched: { images: ReadyImages; rootLayers: readonly RootLayer[] },
  context: PhaseContext,
  adapters: AssembleAdapters,
): Promise<JobRoot> {
  if ("image" in root) {
    const { composefsDigest } = root;
    return mountImage(root.image, fetched.images, adapters, composefsDigest);
  }
  if ("archives" in root) {
    const place = adapters.planRootPlace(nameArchives(root));
    return { root: await adapters.rootDriver.mount(fetched.rootLayers, place), config: NO_CONFIG };
  }
  return { root: await adapters.mountOtherRoot(root, adapters.planRootPlace(), context), config: NO_CONFIG };
}

/** The step's own image, mounted for it alone; without one, the job's root. */
export async function openStepRoot(
  step: Step,
  images: ReadyImages,
  jobRoot: JobRoot | undefined,
  adapters: AssembleAdapters,
): Promise<StepRoot> {
  if (step.image) {
    const mounted = await mountImage(step.image, images, adapters);
    return { ...mounted, release: () => mounted.root.unmount() };
  }
  if (!jobRoot)
    throw new AgentError("BUG_UNEXPECTED", "Cannot run a step: neither it nor the job has a root");
  return { ...jobRoot, release: async () => {} };
}

async function mountImage(
  image: StepImage,
  images: ReadyImages,
  { planRootPlace }: AssembleAdapters,
  composefsDigest?: string,
): Promise<JobRoot> {
  const name = formatStepImage(image);
  const ready = images.get(name);
  if (!ready) throw new AgentError("BUG_UNEXPECTED", `Cannot run "${name}": it was never fetched`);
  if (ready instanceof AgentError) throw ready;
  const place = { ...planRootPlace(name), composefsDigest };
  return { root: await ready.mount(place), config: ready.config };
}

function nameArchives({ archives }: ArchiveRoot): string {
  return archives.map(({ url }) => url).join(" + ");
}

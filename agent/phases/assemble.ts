/** Phase "assemble": mounts the job's root from what was fetched. The roots of steps with images are mounted when they run. */
import { AgentError } from "../errors.ts";
import { formatStepImage } from "../job/explain/plan.ts";
import type { InitrdRoot, Job, NfsRoot } from "../job/job.ts";
import type { Step, StepImage } from "../job/step.ts";
import type { MountedRoot, RootDriver, RootLayer, RootOptions } from "../root/root-driver.ts";
import type { ReadyImages } from "./fetch.ts";
import type { PhaseContext } from "./phase-runner.ts";
import type { StepRoot } from "./steps.ts";

export interface AssembleAdapters {
  rootDriver: RootDriver;
  /** Mount point and folders for one more root. */
  planRoot(name?: string): RootOptions;
  mountOtherRoot(
    root: NfsRoot | InitrdRoot,
    options: RootOptions,
    context: PhaseContext,
  ): Promise<MountedRoot>;
}

/** The configuration of a root that is not an image. */
const NO_CONFIG: StepRoot["config"] = { env: [], entrypoint: [], cmd: [], workingDir: "/", user: "" };

/** A mounted root with the configuration of its image. The job's own root is mounted to the end of the job. */
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
  if ("image" in root) return mountImage(root.image, fetched.images, adapters, root.composefsDigest);
  if ("archives" in root) {
    const options = adapters.planRoot(root.archives.map(({ url }) => url).join(" + "));
    return { root: await adapters.rootDriver.mount(fetched.rootLayers, options), config: NO_CONFIG };
  }
  return { root: await adapters.mountOtherRoot(root, adapters.planRoot(), context), config: NO_CONFIG };
}

/** Mounts the step's own image for this step; without an image, the step runs in the job's root. */
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
  { planRoot }: AssembleAdapters,
  composefsDigest?: string,
): Promise<JobRoot> {
  const name = formatStepImage(image);
  const ready = images.get(name);
  if (!ready) throw new AgentError("BUG_UNEXPECTED", `Cannot run "${name}": it was not fetched`);
  if (ready instanceof AgentError) throw ready;
  const root = await ready.mount({ ...planRoot(name), composefsDigest });
  return { root, config: ready.config };
}

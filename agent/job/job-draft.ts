/**
 * A job while its options are being read, in any dialect: everything may still be missing.
 */
import type { ImageReference } from "../oci/reference.ts";
import type { Dialect, Job, Root, RootDriverChoice } from "./job.ts";
import type { EndSettings, MachineSettings } from "./machine-settings.ts";
import type { Step } from "./step.ts";
import type { RootSource } from "./syntax/locations.ts";

export interface JobDraft extends Omit<Job, "root"> {
  image?: ImageReference;
  composefsDigest?: string;
  driver: RootDriverChoice;
  rootSources: RootSource[];
  /** The step that runs in the root itself. */
  rootStep: Step;
  /** Its position among the other steps. */
  rootStepIndex: number;
  /** Of `dut.run`. */
  command?: string;
  /** The arguments of `dut.init`. */
  init?: string[];
  machine: MachineSettings;
  end: EndSettings;
}

/** Leaves room for the file system's own needs and for the image of the next job. */
const DEFAULT_QUOTA_PERCENT = 80;

/** What a line without any option asks for. */
export function createDraft(dialect: Dialect): JobDraft {
  return {
    dialect,
    driver: "auto",
    rootSources: [],
    rootStep: { kind: "main", env: [] },
    rootStepIndex: 0,
    cache: { choice: "none", mayFormat: false, quota: { percent: DEFAULT_QUOTA_PERCENT } },
    artifacts: [],
    steps: [],
    insecureHosts: [],
    limits: {},
    onExit: "poweroff",
    machine: {},
    end: {},
  };
}

/** The root that `dut.image` or `dut.rootfs` names; of contradicting ones the first. */
export function chooseRoot({ image, composefsDigest, driver, rootSources }: JobDraft): Root | undefined {
  if (image) return { image, driver, composefsDigest };
  const [first] = rootSources;
  if (!first) return undefined;
  if ("nfs" in first) return { nfs: first.nfs };
  if ("directory" in first) return { directory: first.directory };
  return { archives: rootSources.flatMap((source) => ("archive" in source ? source.archive : [])), driver };
}

/** The job without what only its reading needed. */
export function finishDraft(draft: JobDraft, root: Root | undefined): Job {
  const { image: _0, composefsDigest: _1, driver: _2, rootSources: _3, rootStep: _4, ...rest } = draft;
  const { rootStepIndex, command: _5, init: _6, end, machine, steps, ...job } = rest;
  // A step whose flags say so needs no known certificate of its registry.
  const insecureRegistries = steps.flatMap(({ image, container }) =>
    container?.isRegistryInsecure && image && "registry" in image ? image.registry : [],
  );
  return {
    ...job,
    root,
    steps: root ? steps.toSpliced(rootStepIndex, 0, finishRootStep(draft)) : steps,
    insecureHosts: [...new Set([...job.insecureHosts, ...insecureRegistries])],
    machine: { ...machine, end: Object.keys(end).length > 0 ? end : undefined },
  };
}

/** LAVA's dispatcher waits for it; a PS1 in the job's own environment replaces it. */
const PROMPT = "PS1=lava-shell: ";

function finishRootStep({ rootStep: step, command, init, shell }: JobDraft): Step {
  if (shell) {
    const container = { ...step.container, hasTerminal: true, keepsInputOpen: true };
    return { ...step, env: [PROMPT, ...step.env], entrypoint: [], argv: ["/bin/sh"], container };
  }
  if (init) return { ...step, entrypoint: [], argv: init, isInit: true };
  // Whatever the image's entrypoint is.
  return command === undefined ? step : { ...step, entrypoint: [], argv: ["/bin/sh", "-c", command] };
}

/**
 * A job while it is being read by the names of our own options: everything may still be missing.
 * From it the dialects finish their jobs; the root's own step is put where the words for it stand.
 */

import type { ImageReference } from "../../oci/reference.ts";
import type { Job, Root, RootDriverChoice } from "../job.ts";
import type { EndSettings, MachineSettings } from "../machine-settings.ts";
import type { Step } from "../step.ts";
import type { RootSource } from "../syntax/locations.ts";

export interface JobDraft extends Omit<Job, "root"> {
  image?: ImageReference;
  composefsDigest?: string;
  driver: RootDriverChoice;
  rootSources: RootSource[];
  /** The step that runs in the root itself. */
  own: Step;
  /** Its place among the others. */
  ownAt: number;
  /** `dut.run`'s text. */
  command?: string;
  /** `dut.init`'s words. */
  init?: string[];
  machine: MachineSettings;
  end: EndSettings;
}

/** Leaves room for what the file system itself needs, and for the image of the next job. */
const DEFAULT_QUOTA_PERCENT = 80;

/** What a line without any option would ask for. */
export function createDraft(): JobDraft {
  return {
    dialect: "dut",
    driver: "auto",
    rootSources: [],
    own: { kind: "main", env: [] },
    ownAt: 0,
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

/** The root that our own options name; of words that contradict each other the first. */
export function chooseRoot({ image, composefsDigest, driver, rootSources }: JobDraft): Root | undefined {
  if (image) return { image, driver, composefsDigest };
  const [first] = rootSources;
  if (!first) return undefined;
  if ("nfs" in first) return { nfs: first.nfs };
  if ("directory" in first) return { directory: first.directory };
  return { archives: rootSources.flatMap((source) => ("archive" in source ? source.archive : [])), driver };
}

/** The job without what only the reading of it needed. */
export function finishDraft(draft: JobDraft, root: Root | undefined): Job {
  const {
    image: _image,
    composefsDigest: _digest,
    driver: _driver,
    rootSources: _sources,
    own,
    ownAt,
    command,
    init,
    end,
    machine,
    steps,
    ...job
  } = draft;
  const step = finishOwnStep(own, { command, init, shell: job.shell });
  return {
    ...job,
    root,
    steps: root ? steps.toSpliced(ownAt, 0, step) : steps,
    insecureHosts: [...new Set([...job.insecureHosts, ...listInsecureRegistries(steps)])],
    ...finishMachine(machine, end),
  };
}

export function finishMachine(machine: MachineSettings, end: EndSettings): { machine?: MachineSettings } {
  const whole = { ...machine, ...(Object.keys(end).length > 0 && { end }) };
  return Object.keys(whole).length > 0 ? { machine: whole } : {};
}

/** Registries of steps whose flags say that they need no known certificate. */
export function listInsecureRegistries(steps: readonly Step[]): string[] {
  return steps.flatMap(({ image, container }) =>
    container?.isRegistryInsecure && image && "registry" in image ? image.registry : [],
  );
}

/** LAVA's dispatcher waits for it; PS1 of the job's own environment wins. */
const PROMPT = "PS1=lava-shell: ";

function finishOwnStep(
  own: Step,
  {
    command,
    init,
    shell,
  }: { command: string | undefined; init: string[] | undefined; shell: boolean | undefined },
): Step {
  if (shell) {
    const container = { ...own.container, hasTerminal: true, keepsInputOpen: true };
    return { ...own, env: [PROMPT, ...own.env], entrypoint: [], argv: ["/bin/sh"], container };
  }
  if (init) return { ...own, entrypoint: [], argv: init, isInit: true };
  return command === undefined ? own : { ...own, ...wrapCommand(command) };
}

/** `dut.run`'s text as words: /bin/sh runs it, whatever the image's entrypoint is. */
function wrapCommand(command: string): { entrypoint: string[]; argv: string[] } {
  return { entrypoint: [], argv: ["/bin/sh", "-c", command] };
}

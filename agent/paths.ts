/**
 * Where the agent's things lie on the DUT. Init (initrd/files) reads those below /run/dutboot, so the names are fixed there too.
 */
const RUN = "/run/dutboot";
const LIBRARY = "/usr/lib/dutboot";

export const PATHS = {
  buildInfo: `${LIBRARY}/build.json`,
  /** Name of the phase that runs, for init's last words. */
  phase: `${RUN}/phase`,
  /** Changes while the agent lives; its keeper watches that. */
  alive: `${RUN}/alive`,
  /** `poweroff`, `reboot` or `halt`, as soon as the job is known. */
  onExit: `${RUN}/on_exit`,
  /** Exists once the verdict stands on the console. */
  verdictPrinted: `${RUN}/verdict-printed`,
  /** Exists once the farm was told that the machine goes off. */
  endTold: `${RUN}/end-told`,
  /** `/results` of the container, with our log beside the test's files. */
  results: `${RUN}/results`,
  /** A link to what is kept of this boot on the cache device; init leaves its verdict there. */
  kept: `${RUN}/kept`,
  /** Where exports are mounted before there is a store. */
  nfs: `${RUN}/nfs`,
  /** Where image stores are mounted, by their names. */
  imageStores: `${RUN}/image-stores`,
  /** Where results on an NFS server are mounted. */
  resultsExport: `${RUN}/results-export`,
  bundle: `${RUN}/bundle`,
  root: `${RUN}/root`,
  /** Roots of steps with images of their own, by number. */
  stepRoots: `${RUN}/roots`,
  store: "/store",
} as const;

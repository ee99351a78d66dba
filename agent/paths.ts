/** Paths on the DUT. The scripts in initrd/files use `facts`, `heartbeat`, `kept` and `results` too. */
const RUN = "/run/dutboot";
const LIBRARY = "/usr/lib/dutboot";

export const PATHS = {
  buildInfo: `${LIBRARY}/build.json`,
  /** What the supervisor must know to end the boot in the agent's place. */
  facts: `${RUN}/facts`,
  /** A number that grows while the agent's main loop turns. */
  heartbeat: `${RUN}/heartbeat`,
  /** `/results` of the container: the test's files and the agent's. */
  results: `${RUN}/results`,
  /** A link to the folder of this boot on the cache device; the supervisor leaves its verdict there. */
  kept: `${RUN}/kept`,
  /** Mount points of NFS exports that files are read from. */
  nfs: `${RUN}/nfs`,
  /** Mount points of image stores, by name. */
  imageStores: `${RUN}/image-stores`,
  /** Mount point of the NFS export that takes the results. */
  resultsExport: `${RUN}/results-export`,
  bundle: `${RUN}/bundle`,
  root: `${RUN}/root`,
  /** Roots of steps with images of their own, by number. */
  stepRoots: `${RUN}/roots`,
  store: "/store",
} as const;

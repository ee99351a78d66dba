/**
 * What is pulled in the benchmark: an image of one layer in two versions, between which one package changed.
 * Each is made once by its recipe and kept in the cache as a registry's storage (bench-goods.ts).
 */

export interface BenchImage {
  /** In options, tables and the registry: `vulkan`. */
  name: string;
  /** For people. */
  summary: string;
  /** Everything that decides the bytes: another recipe is another image. */
  recipe: unknown;
  /** Leaves the tar archives of both versions in `folder`. */
  makeTars(folder: string, options: { signal?: AbortSignal }): Promise<VersionTars>;
}

export interface VersionTars {
  first: string;
  /** As `first`, but for the files of one package. */
  second: string;
  /** What changed, for people. */
  change: string;
}

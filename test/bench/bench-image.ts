/**
 * The images of the benchmark: each has one layer and two versions, which differ in one package.
 * A recipe makes each image once; the cache keeps it as a registry's storage (bench-goods.ts).
 */

export interface BenchImage {
  /** In options, tables and the registry: `vulkan`. */
  name: string;
  /** A description. */
  summary: string;
  /** All inputs of the bytes: a changed recipe makes another image. */
  recipe: unknown;
  /** Leaves the tar archives of both versions in `folder`. */
  makeTars(folder: string, options: { signal?: AbortSignal }): Promise<VersionTars>;
}

export interface VersionTars {
  first: string;
  /** Like `first`, except for the files of one package. */
  second: string;
  /** Describes the change. */
  change: string;
}

/** An archive that can be read whole or by ranges, wherever it is. */
import type { HttpResponse } from "../http/http-message.ts";
import type { RangeReader } from "../ranges/fetch-ranges.ts";

export interface RemoteArchive {
  /** `hasDigest` as in HttpRequest. */
  open(options?: { hasDigest?: boolean; signal?: AbortSignal }): Promise<HttpResponse>;
  parts: RangeReader;
}

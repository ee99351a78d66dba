/** Counts the bytes of one layer or archive, for the progress of the phase and for the event at its end. */
import type { Progress } from "../report/log/progress.ts";
import type { UnpackOptions } from "../root/root-driver.ts";
import type { EventBody } from "../wire/event.ts";

export interface Transfer extends Required<Pick<UnpackOptions, "onProgress" | "onReuse">> {
  /** Emits the event, also after a failure. */
  end(): void;
}

export function startTransfer(
  what: { kind: "layer" | "archive"; name: string },
  { progress, emit }: { progress: Progress; emit: (event: EventBody) => void },
): Transfer {
  const startedAt = performance.now();
  let fetchedBytes = 0;
  let reusedBytes = 0;
  return {
    onProgress({ bytesIn }) {
      progress.add(bytesIn - fetchedBytes);
      fetchedBytes = bytesIn;
    },
    onReuse(bytes) {
      progress.reuse(bytes);
      reusedBytes += bytes;
    },
    end() {
      const durationMs = Math.round(performance.now() - startedAt);
      emit({ event: "transfer", ...what, fetchedBytes, reusedBytes, durationMs });
    },
  };
}

import { describe, expect, it } from "vitest";
import {
  listStoredLayers,
  nameBigData,
  parseStoredImages,
  parseStoredLayers,
} from "../../../agent/oci/containers-storage.ts";

const A = "a".repeat(64);
const B = "b".repeat(64);
const C = "c".repeat(64);

describe("containers/storage's records", () => {
  it("reads images, and omits those whose IDs could be paths outside of the store", () => {
    const good = { id: A, layer: B, names: ["host/name:1", 7], digest: `sha256:${C}`, other: {} };
    const evil = [{ id: "../../etc", layer: B }, { id: A, layer: "../x" }, 5, null];
    expect(parseStoredImages(JSON.stringify([...evil, good]))).toEqual([
      { id: A, layer: B, names: ["host/name:1"] },
    ]);
  });

  it("lists layers from the lowest up", () => {
    const parents = parseStoredLayers(
      JSON.stringify([{ id: A }, { id: B, parent: A }, { id: C, parent: B }]),
    );
    expect(listStoredLayers(C, parents)).toEqual([A, B, C]);
  });

  it.each([
    ["a layer that is not there", [{ id: B, parent: A }], B],
    [
      "a circle",
      [
        { id: A, parent: B },
        { id: B, parent: A },
      ],
      A,
    ],
  ])("refuses %s", (_name, layers, top) => {
    expect(() => listStoredLayers(top, parseStoredLayers(JSON.stringify(layers)))).toThrowError(
      expect.objectContaining({ code: "IMAGE_STORE_INVALID" }),
    );
  });

  it.each(["{", "{}", "7"])("refuses %s as a list", (text) => {
    expect(() => parseStoredImages(text)).toThrowError(
      expect.objectContaining({ code: "IMAGE_STORE_INVALID" }),
    );
  });

  it("names big data as containers/storage does", () => {
    expect(nameBigData("manifest")).toBe("manifest");
    expect(nameBigData("sha256:ab")).toBe("=c2hhMjU2OmFi");
  });
});

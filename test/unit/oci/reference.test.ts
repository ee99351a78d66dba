/** Image references: what is read, and what is refused. */
import { expect, test } from "vitest";
import { AgentError } from "../../../agent/errors.ts";
import { formatImageReference, parseImageReference, registryApiHost } from "../../../agent/oci/reference.ts";

const SHA = `sha256:${"0123456789abcdef".repeat(4)}`;

test.each([
  ["registry.example/mesa", { registry: "registry.example", repository: "mesa", tag: "latest" }],
  ["docker://registry.example/mesa:1", { registry: "registry.example", repository: "mesa", tag: "1" }],
  ["localhost/a/b/c:x_Y.z-1", { registry: "localhost", repository: "a/b/c", tag: "x_Y.z-1" }],
  ["10.0.2.2:5000/mesa/test:v1", { registry: "10.0.2.2:5000", repository: "mesa/test", tag: "v1" }],
  ["[fd00::1]:5000/mesa", { registry: "[fd00::1]:5000", repository: "mesa", tag: "latest" }],
  ["farm:5000/a__b/c.d/e--f", { registry: "farm:5000", repository: "a__b/c.d/e--f", tag: "latest" }],
  [`farm:5000/mesa@${SHA}`, { registry: "farm:5000", repository: "mesa", digest: SHA }],
  [`farm:5000/mesa:v1@${SHA}`, { registry: "farm:5000", repository: "mesa", tag: "v1", digest: SHA }],
  ["FARM.example/mesa", { registry: "farm.example", repository: "mesa", tag: "latest" }],
  ["docker.io/debian:13", { registry: "docker.io", repository: "library/debian", tag: "13" }],
  ["index.docker.io/a/b", { registry: "docker.io", repository: "a/b", tag: "latest" }],
])("%s", (text, expected) => {
  expect(parseImageReference(text)).toEqual(expected);
});

test.each([
  "",
  "mesa",
  "mesa:latest",
  "library/mesa",
  "docker://mesa",
  "/mesa",
  "https://registry.example/mesa",
  "oci:/tmp/image",
  "registry.example/",
  "registry.example/Mesa",
  "registry.example//mesa",
  "registry.example/mesa/",
  "registry.example/../etc",
  "registry.example/mesa:",
  "registry.example/mesa:.tag",
  `registry.example/mesa:${"x".repeat(129)}`,
  "registry.example/mesa@sha256:abc",
  `registry.example/mesa@${SHA.toUpperCase()}`,
  `registry.example/mesa@md5:${"0".repeat(32)}`,
  `registry.example/mesa@${SHA}@${SHA}`,
  "registry.example:0/mesa",
  "registry.example:70000/mesa",
  "registry.example:port/mesa",
  "user:password@registry.example/mesa",
  "registry.example/mesa name",
  `registry.example/${"x".repeat(256)}`,
])("refused: %s", (text) => {
  const refusal = expect.objectContaining({ code: "IMAGE_BAD_REFERENCE", blame: "job" });
  expect(() => parseImageReference(text)).toThrow(refusal);
});

test("a missing host is named as such", () => {
  const message = expect.objectContaining({ message: expect.stringContaining("no registry host") });
  expect(() => parseImageReference("mesa/test")).toThrow(message);
  expect(() => parseImageReference("mesa/test")).toThrow(AgentError);
});

test.each(["registry.example/mesa:1", `farm:5000/a/b:v1@${SHA}`, `farm:5000/a/b@${SHA}`])(
  "there and back: %s",
  (text) => {
    expect(formatImageReference(parseImageReference(text))).toBe(text);
  },
);

test("only one registry is served under another name", () => {
  expect(registryApiHost("docker.io")).toBe("registry-1.docker.io");
  expect(registryApiHost("farm:5000")).toBe("farm:5000");
});

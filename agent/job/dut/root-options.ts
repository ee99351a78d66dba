/**
 * Options of our own about the root: where it and what lies over it come from, and whom those places may be asked for.
 */
import { parseImageReference } from "../../oci/reference.ts";
import { parseArtifact, parseRegistryMirror, parseRootSource } from "../syntax/locations.ts";
import { readProxies } from "../syntax/setting-readers.ts";
import { parseChoice, parseComposefsDigest, parseHosts, splitSubOptions } from "../syntax/values.ts";
import type { Option } from "./option.ts";

export const ROOT_OPTIONS: readonly Option[] = [
  {
    name: "dut.image",
    form: "REF[,composefs=DIGEST]",
    help: "The OCI image that is the root: host[:port]/name[:tag][@digest], docker:// may stand in front; with the fs-verity digest that its composefs form must have",
    example: "dut.image=registry.farm:5000/mesa/test-vk:2026-11@sha256:…",
    read: (value, draft) => {
      const { head, options } = splitSubOptions(value, ["composefs"]);
      draft.image = parseImageReference(head);
      const digest = options.get("composefs");
      if (digest !== undefined) draft.composefsDigest = parseComposefsDigest(digest);
    },
  },
  {
    name: "dut.rootfs",
    form: "SOURCE[,sha256=HEX][,toc=HEX]|nfs://SERVER/EXPORT[,rw][,vers=V][,opts=A|B]|file:/DIRECTORY",
    help: "A root that is no image: archives (tar, plain or as gz, xz or zst), each unpacked over those before it; an NFS export, read-only under an overlay unless rw is there; or a directory of the initrd. What on an NFS server or in the initrd has no name of an archive is a directory",
    example: "dut.rootfs=https://files.farm/lava-rootfs.tar.zst",
    isRepeatable: true,
    read: (value, draft) => {
      draft.rootSources.push(parseRootSource(value));
    },
  },
  {
    name: "dut.artifact",
    form: "SOURCE[,to=/path][,sha256=HEX][,toc=HEX]",
    help: "An archive unpacked into the root before the test: tar, plain or as gz, xz or zst. A source is https://, http:// (with a digest, or of a host that dut.insecure names), s3://BUCKET/KEY, nfs://SERVER/EXPORT/FILE, or file:/PATH in the initrd. With toc=, which `dutboot pack` prints, only files that are not here are fetched, and checked",
    example: "dut.artifact=https://artifacts.farm/install.tar.zst,to=/opt",
    isRepeatable: true,
    read: (value, draft) => {
      draft.artifacts.push(parseArtifact(value));
    },
  },
  {
    name: "dut.root",
    form: "composefs|overlay|auto",
    help: "How the root is made: a composefs image over objects, a directory a layer, or the best that works (auto, the default)",
    example: "dut.root=overlay",
    read: (value, draft) => {
      draft.driver = parseChoice(["composefs", "overlay", "auto"] as const)(value);
    },
  },
  {
    name: "dut.mirror",
    form: "REGISTRY=URL",
    help: "A registry that is asked first for the images of another; of several the first that answers counts",
    example: "dut.mirror=docker.io=https://proxy.farm:5000",
    isRepeatable: true,
    read: (value, draft) => {
      draft.mirrors = [...(draft.mirrors ?? []), parseRegistryMirror(value)];
    },
  },
  {
    name: "dut.insecure",
    form: "HOST[,HOST]",
    help: "Servers, as HOST or HOST:PORT, that may be reached over plain HTTP or with an unknown certificate",
    example: "dut.insecure=10.42.0.1:8002,cache.farm",
    isRepeatable: true,
    read: (value, draft) => {
      draft.insecureHosts.push(...parseHosts(value));
    },
  },
  {
    name: "dut.proxy",
    form: "https=URL[,http=URL]",
    help: "The HTTP proxy for what the agent fetches, by the scheme of what is fetched",
    example: "dut.proxy=https=http://proxy.farm:3128",
    read: readProxies,
  },
];

/**
 * Options of ours for the root: where it and its artifacts come from, and how the agent reaches these servers.
 */
import { parseImageReference } from "../../oci/reference.ts";
import { add, addAll, type DutOption, set, toJob, toMachine } from "../option.ts";
import { parseArtifact, parseRegistryMirror, parseRootSource } from "../syntax/locations.ts";
import { parseProxies } from "../syntax/settings.ts";
import { parseChoice, parseComposefsDigest, parseHosts, splitSubOptions } from "../syntax/values.ts";

export const ROOT_OPTIONS: readonly DutOption[] = [
  {
    name: "dut.image",
    form: "REF[,composefs=DIGEST]",
    help: "The OCI image that is the root: host[:port]/name[:tag][@digest], optionally with docker:// in front, and the fs-verity digest that its composefs form must have",
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
    help: "A root without an image: archives (tar, optionally compressed with gz, xz or zst), each unpacked over the previous ones; an NFS export, read-only under an overlay unless rw is given; or a directory of the initrd. A path on an NFS server or in the initrd is a directory unless its name is that of an archive",
    example: "dut.rootfs=https://files.farm/lava-rootfs.tar.zst",
    isRepeatable: true,
    read: add(toJob, "rootSources", parseRootSource),
  },
  {
    name: "dut.artifact",
    form: "SOURCE[,to=/path][,sha256=HEX][,toc=HEX]",
    help: "An archive unpacked into the root before the test: tar, optionally compressed with gz, xz or zst. A source is https://, http:// (with a digest, or on a host that dut.insecure names), s3://BUCKET/KEY, nfs://SERVER/EXPORT/FILE, or file:/PATH in the initrd. With toc=, which `dutboot pack` prints, only files that the DUT does not have are fetched, and all are checked",
    example: "dut.artifact=https://artifacts.farm/install.tar.zst,to=/opt",
    isRepeatable: true,
    read: add(toJob, "artifacts", parseArtifact),
  },
  {
    name: "dut.root",
    form: "composefs|overlay|auto",
    help: "How the root is made: composefs, an image over objects; overlay, one directory per layer; auto (the default), the best that works",
    example: "dut.root=overlay",
    read: set(toJob, "driver", parseChoice(["composefs", "overlay", "auto"])),
  },
  {
    name: "dut.mirror",
    form: "REGISTRY=URL",
    help: "A registry that is asked before REGISTRY for its images; of several mirrors the first that answers is used",
    example: "dut.mirror=docker.io=https://proxy.farm:5000",
    isRepeatable: true,
    read: add(toJob, "mirrors", parseRegistryMirror),
  },
  {
    name: "dut.insecure",
    form: "HOST[,HOST]",
    help: "Servers, as HOST or HOST:PORT, that may be reached over plain HTTP or with an unknown certificate",
    example: "dut.insecure=10.42.0.1:8002,cache.farm",
    isRepeatable: true,
    read: addAll(toJob, "insecureHosts", parseHosts),
  },
  {
    name: "dut.proxy",
    form: "https=URL[,http=URL]",
    help: "The HTTP proxy for the agent's downloads, by the scheme of the downloaded URL",
    example: "dut.proxy=https=http://proxy.farm:3128",
    read: set(toMachine, "proxies", parseProxies),
  },
];

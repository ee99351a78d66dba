/**
 * Options of ours for what is kept: results, the S3 service, volumes, the store and its device.
 */
import { add, type DutOption, set, toCache, toJob, toMachine } from "../option.ts";
import { parseResultsDestination } from "../syntax/locations.ts";
import {
  parseFileSystem,
  parseNetworkBlockDevice,
  parseS3Alias,
  parseSwap,
  parseVolume,
} from "../syntax/settings.ts";
import { parseCache, parseQuota, parseS3Endpoint, parseYesOrNo, splitList } from "../syntax/values.ts";

export const STORAGE_OPTIONS: readonly DutOption[] = [
  {
    name: "dut.results",
    form: "s3://BUCKET/PREFIX|https://HOST/PREFIX|nfs://SERVER/EXPORT[,vers=V][,opts=A|B]",
    help: "Where /results of the container is uploaded, with the full log and the verdict: to S3, by HTTP PUT of PREFIX/NAME, or to an NFS export",
    example: "dut.results=s3://results/job-42",
    read: set(toJob, "results", (text) => ({ to: parseResultsDestination(text) })),
  },
  {
    name: "dut.s3",
    form: "ENDPOINT[,region=R]",
    help: "The S3 service; its credentials come from a file, fw_cfg or SMBIOS (docs/credentials.md)",
    example: "dut.s3=https://s3.farm:9000,region=eu-west-1",
    read: set(toJob, "s3", parseS3Endpoint),
  },
  {
    name: "dut.s3_alias",
    form: "NAME,URL,ACCESS_KEY,SECRET_KEY",
    help: "Another S3 service for volumes, with its keys. Put it in a job file, because every command line is printed on the console",
    example: "dut.s3_alias=gateway,https://s3.farm:9000,ACCESS_KEY,SECRET_KEY",
    isRepeatable: true,
    isSecret: true,
    read: add(toJob, "s3Aliases", parseS3Alias),
  },
  {
    name: "dut.volume",
    form: "NAME[,mirror=ALIAS/BUCKET[/PATH]][,…]",
    help: "Data that outlives its container, kept on the DUT and optionally mirrored with S3: pull_from=, push_to=, pull_on= and push_on= (pipeline_start, container_start, container_end, pipeline_end, changes, separated by |), expiration=never|pipeline_end, overwrite, remove, preserve, exclude=GLOB, encrypt_key=, fscrypt_key=, fscrypt_reset_key, filesystem=NAME. The alias s3 is the service of dut.s3",
    example: "dut.volume=shaders,mirror=s3/caches/shaders,pull_on=pipeline_start,push_on=pipeline_end",
    isRepeatable: true,
    read: add(toJob, "volumes", parseVolume),
  },
  {
    name: "dut.filesystem",
    form: "NAME,src=…[,type=…][,opts=A|B]",
    help: "A file system to mount, with a name that dut.volume, dut.cache and dut.image_store use",
    example: "dut.filesystem=gateway,type=nfs,src=10.42.0.1:/store,opts=ro|vers=4.2",
    isRepeatable: true,
    read: add(toJob, "fileSystems", parseFileSystem),
  },
  {
    name: "dut.cache",
    form: "none|auto|reset|LABEL=…|UUID=…|/dev/…|FILESYSTEM=NAME",
    help: "Where the store is: in RAM (none, the default), on the device labelled DUTBOOT_CACHE (auto; reset formats it again), on another device, or on a file system of dut.filesystem",
    example: "dut.cache=auto",
    read: (value, draft) => {
      draft.cacheFileSystem = /^FILESYSTEM=(.+)$/.exec(value)?.[1];
      draft.cache.choice = draft.cacheFileSystem === undefined ? parseCache(value) : "none";
    },
  },
  {
    name: "dut.cache_format",
    form: "yes|no",
    help: "Whether the device that dut.cache names may be formatted when it has no ext4; all its data is lost",
    example: "dut.cache_format=yes",
    read: set(toCache, "mayFormat", parseYesOrNo),
  },
  {
    name: "dut.cache_quota",
    form: "SIZE|SHARE",
    help: "How much the store may keep on its device, as 10G or 80% (the default); the least recently used images are deleted first",
    example: "dut.cache_quota=10G",
    read: set(toCache, "quota", parseQuota),
  },
  {
    name: "dut.image_store",
    form: "NAME[|NAME]",
    help: "File systems of dut.filesystem with images stored by podman, which are searched before a registry is asked",
    example: "dut.image_store=gateway",
    read: set(toMachine, "imageStores", (text) => splitList(text, "|")),
  },
  {
    name: "dut.swap",
    form: "SIZE|/dev/X[,swappiness=N]",
    help: "Swap: a file of that size on the store's device, or a device",
    example: "dut.swap=8G,swappiness=60",
    read: set(toMachine, "swap", parseSwap),
  },
  {
    name: "dut.nbd",
    form: "/dev/nbdN,host=H[,port=P][,connections=N]",
    help: "A block device of a server, attached before the store is mounted",
    example: "dut.nbd=/dev/nbd0,host=10.42.0.1,port=10809",
    isRepeatable: true,
    read: add(toMachine, "networkBlockDevices", parseNetworkBlockDevice),
  },
];

/**
 * Options of our own about what is kept: results, the S3 service, volumes, the store and what it lies on.
 */

import { parseResultsPlace } from "../syntax/locations.ts";
import { parseB2cStorage } from "../syntax/machine-values.ts";
import {
  readFileSystem,
  readNetworkBlockDevice,
  readS3Alias,
  readSwap,
  readVolume,
} from "../syntax/setting-readers.ts";
import { parseCache, parseChoice, parseQuota, parseS3Endpoint, parseText } from "../syntax/values.ts";
import type { Option } from "./option.ts";

export const STORAGE_OPTIONS: readonly Option[] = [
  {
    name: "dut.results",
    form: "s3://BUCKET/PREFIX|https://HOST/PREFIX|nfs://SERVER/EXPORT[,vers=V][,opts=A|B]",
    help: "Where /results of the container goes, with the full log and the verdict: to S3, by HTTP PUT of PREFIX/NAME, or to an NFS export",
    example: "dut.results=s3://results/job-42",
    read: (value, draft) => {
      draft.results = { to: parseResultsPlace(value) };
    },
  },
  {
    name: "dut.s3",
    form: "ENDPOINT[,region=R]",
    help: "The S3 service; its credentials come from a file, fw_cfg or SMBIOS (docs/credentials.md)",
    example: "dut.s3=https://s3.farm:9000,region=eu-west-1",
    read: (value, draft) => {
      draft.s3 = parseS3Endpoint(value);
    },
  },
  {
    name: "dut.s3_alias",
    form: "NAME,URL,ACCESS_KEY,SECRET_KEY",
    help: "A further S3 service for volumes, with its keys: belongs in a job file, as every command line is printed",
    example: "dut.s3_alias=gateway,https://s3.farm:9000,ACCESS_KEY,SECRET_KEY",
    isRepeatable: true,
    read: readS3Alias,
  },
  {
    name: "dut.volume",
    form: "NAME[,mirror=ALIAS/BUCKET[/PATH]][,…]",
    help: "Data that outlives its container, on the DUT and where asked mirrored with S3: pull_from=, push_to=, pull_on= and push_on= (pipeline_start, container_start, container_end, pipeline_end, changes, with | between), expiration=never|pipeline_end, overwrite, remove, preserve, exclude=GLOB, encrypt_key=, fscrypt_key=, fscrypt_reset_key, filesystem=NAME. The alias s3 is the service of dut.s3",
    example: "dut.volume=shaders,mirror=s3/caches/shaders,pull_on=pipeline_start,push_on=pipeline_end",
    isRepeatable: true,
    read: readVolume,
  },
  {
    name: "dut.filesystem",
    form: "NAME,src=…[,type=…][,opts=A|B]",
    help: "Something to mount, under a name that dut.volume, dut.cache and dut.image_store use",
    example: "dut.filesystem=gateway,type=nfs,src=10.42.0.1:/store,opts=ro|vers=4.2",
    isRepeatable: true,
    read: readFileSystem,
  },
  {
    name: "dut.cache",
    form: "none|auto|reset|LABEL=…|UUID=…|/dev/…|FILESYSTEM=NAME",
    help: "Where the store is: in RAM (none, the default), on the device labelled DUTBOOT_CACHE (auto; reset formats it anew), on a device of your own, or on a file system of dut.filesystem",
    example: "dut.cache=auto",
    read: (value, draft) => {
      const name = /^FILESYSTEM=(.+)$/.exec(value)?.[1];
      delete draft.cacheFileSystem;
      draft.cache.choice = name === undefined ? parseCache(value) : "none";
      if (name !== undefined) draft.cacheFileSystem = name;
    },
  },
  {
    name: "dut.cache_format",
    form: "yes|no",
    help: "Whether the device that dut.cache names may be formatted when it holds no ext4; all its data is lost",
    example: "dut.cache_format=yes",
    read: (value, draft) => {
      draft.cache.mayFormat = parseChoice(["yes", "no"] as const)(value) === "yes";
    },
  },
  {
    name: "dut.cache_quota",
    form: "SIZE|SHARE",
    help: "What the store may keep on its device, as 10G or 80%; the images used longest ago go first; 80% without it",
    example: "dut.cache_quota=10G",
    read: (value, draft) => {
      draft.cache.quota = parseQuota(value);
    },
  },
  {
    name: "dut.image_store",
    form: "NAME[|NAME]",
    help: "File systems of dut.filesystem with images that podman has stored there: images are looked for in them first",
    example: "dut.image_store=gateway",
    read: (value, { machine }, rules) => {
      machine.imageStores = parseB2cStorage(`additionalimagestores=${parseText(value)}`, rules);
    },
  },
  {
    name: "dut.swap",
    form: "SIZE|/dev/X[,swappiness=N]",
    help: "Swap: a file of that size on the store's device, or a device",
    example: "dut.swap=8G,swappiness=60",
    read: (value, draft, rules) => readSwap(parseText(value), draft, rules),
  },
  {
    name: "dut.nbd",
    form: "/dev/nbdN,host=H[,port=P][,connections=N]",
    help: "A block device of a server, attached before the store is mounted",
    example: "dut.nbd=/dev/nbd0,host=10.42.0.1,port=10809",
    isRepeatable: true,
    read: readNetworkBlockDevice,
  },
];

/**
 * The agent as the files Node loads on the DUT: one script per thread, made by esbuild, with the native modules beside them.
 * Source maps stay on the host; a stack trace of a DUT is read with the map of the same build.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { build, type Metafile, type Plugin } from "esbuild";
import type { Architecture } from "./architecture.ts";
import { BuildError } from "./build-error.ts";
import { fileFromHost, fileFromText, type ImageFile } from "./image-file.ts";
import type { NativeModule } from "./natives.ts";
import { NODE_MODULES, PROJECT_ROOT, readPin } from "./project.ts";

export const LIBRARY_FOLDER = "usr/lib/dutboot";
/** The program that the supervisor runs when the agent has left no facts. */
export const FACTS_ENTRY = { "write-facts": "agent/wiring/write-facts.ts" };

/** The agent's programs and threads: name of the script on the DUT, and its entry point. */
const ENTRIES: Readonly<Record<string, string>> = {
  main: "agent/main.ts",
  ...FACTS_ENTRY,
  "unpack-worker": "agent/root/unpack/unpack-worker.ts",
};
const OPTIONAL_ENTRIES = new Set(["unpack-worker"]);
const ZSTD_FILE = "zstd.node";
const SERIAL_FILE = "serialport.node";

export interface Bundle {
  files: ImageFile[];
  /** For the host: name of the script and its source map. */
  sourceMaps: { name: string; text: string }[];
  metafile: Metafile;
}

export interface BundleOptions {
  /** Other entry points, for tests. */
  entries?: Readonly<Record<string, string>>;
  version: string;
}

export async function bundleAgent(
  architecture: Architecture,
  natives: { sys: NativeModule; zstd: NativeModule },
  { entries = ENTRIES, version }: BundleOptions,
): Promise<Bundle> {
  const entryPoints = Object.fromEntries(
    Object.entries(entries).filter(([name, path]) => {
      const there = existsSync(join(PROJECT_ROOT, path));
      if (!there && !OPTIONAL_ENTRIES.has(name))
        throw new BuildError(`Cannot bundle "${path}": it is not there`);
      return there;
    }),
  );
  const result = await build({
    absWorkingDir: PROJECT_ROOT,
    entryPoints,
    outdir: "/bundle",
    write: false,
    bundle: true,
    metafile: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    // Names stay, for logs and stack traces. To shorten them and keep some (keepNames) costs time at every closure.
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: "external",
    legalComments: "none",
    logLevel: "silent",
    // CommonJS has no import.meta: the file's own address is what createRequire and Worker ask it for.
    banner: { js: 'const __fileUrl=require("node:url").pathToFileURL(__filename).href;' },
    define: { "import.meta.url": "__fileUrl", "import.meta.main": "true" },
    plugins: [placeNatives(), trimUndici()],
  }).catch((cause) => {
    throw new BuildError(`Cannot bundle the agent: ${(cause as Error).message}`, { cause });
  });
  const outputs = result.outputFiles.map(({ path, text }) => ({ name: path.split("/").at(-1)!, text }));
  const scripts = outputs.filter(({ name }) => name.endsWith(".js"));
  const files = scripts.map(({ name, text }) =>
    fileFromText(`${LIBRARY_FOLDER}/${name}`, text, `dutboot ${version}`),
  );
  const loads = (name: string) => scripts.some(({ text }) => text.includes(`./${name}`));
  files.push(nativeFile("sys.node", natives.sys.file, `dutboot ${version}`));
  if (loads(ZSTD_FILE)) {
    files.push(nativeFile(ZSTD_FILE, natives.zstd.file, `zstd-napi ${readPin("zstd-napi").version}`));
  }
  if (loads(SERIAL_FILE)) {
    const prebuilt = join(NODE_MODULES, "@serialport/bindings-cpp/prebuilds", architecture.serialPrebuild);
    files.push(nativeFile(SERIAL_FILE, prebuilt, `serialport ${readPin("serialport").version}`));
  }
  return {
    files,
    sourceMaps: outputs.filter(({ name }) => name.endsWith(".map")),
    metafile: result.metafile,
  };
}

function nativeFile(name: string, hostPath: string, origin: string): ImageFile {
  return fileFromHost(`${LIBRARY_FOLDER}/${name}`, hostPath, origin, 0o755);
}

/**
 * Of undici what agent/net/http/dispatcher.ts imports: its whole index also brings fetch, mocks and caches, and Node's HTTP/2
 * and web streams with them, which are some 40 ms of every boot.
 */
function trimUndici(): Plugin {
  return {
    name: "trim-undici",
    setup(builder) {
      builder.onLoad({ filter: /\/undici\/index\.js$/ }, () => ({ contents: UNDICI_INDEX }));
      builder.onResolve({ filter: /^node:http2$/ }, ({ path }) => ({ path, namespace: "left-out" }));
      builder.onLoad({ filter: /.*/, namespace: "left-out" }, ({ path }) => ({
        contents: `throw new Error("${path} is left out of the agent")`,
      }));
    },
  };
}

const UNDICI_INDEX = `
Object.assign(require("./lib/dispatcher/dispatcher").prototype, require("./lib/api"));
exports.Agent = require("./lib/dispatcher/agent");
exports.Pool = require("./lib/dispatcher/pool");
exports.ProxyAgent = require("./lib/dispatcher/proxy-agent");
`;

/** Packages look for their native module in ways no bundler follows: it lies beside the script instead. */
function placeNatives(): Plugin {
  return {
    name: "place-natives",
    setup(builder) {
      builder.onResolve({ filter: /^node-gyp-build$/ }, () => ({
        path: SERIAL_FILE,
        namespace: "native-search",
      }));
      builder.onResolve({ filter: /binding(\.js)?$/ }, ({ path, importer }) => {
        const isZstd = path.startsWith("zstd-napi/binding") || importer.includes("/zstd-napi/");
        return isZstd ? { path: `./${ZSTD_FILE}`, external: true } : null;
      });
      builder.onLoad({ filter: /.*/, namespace: "native-search" }, ({ path }) => ({
        loader: "js",
        contents: `module.exports = () => require("./${path}")`,
      }));
      builder.onResolve({ filter: /\.node$/, namespace: "native-search" }, ({ path }) => ({
        path,
        external: true,
      }));
    },
  };
}

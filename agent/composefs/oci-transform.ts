/**
 * composefs-rs's transform_for_oci: removes the differences between an image's archives and the mounted image from a
 * merged tree, which are the root's metadata, /run and labels.
 */
import { AgentError } from "../errors.ts";
import { isDirectory, type TreeNode } from "./file-tree.ts";

const CAPABILITY = "security.capability";

/** Changes the tree. Throws LAYER_TREE_INVALID when it has no directory /usr. */
export function transformForOci(root: TreeNode): void {
  const usr = root.children!.get("usr");
  if (usr === undefined || !isDirectory(usr)) {
    throw new AgentError(
      "LAYER_TREE_INVALID",
      'Cannot copy the metadata of "/usr" to "/": "/usr" is not a directory',
    );
  }
  const { mode, uid, gid, mtimeSec, mtimeNsec, xattrs } = usr;
  Object.assign(root, { mode, uid, gid, mtimeSec, mtimeNsec, xattrs });
  const run = root.children!.get("run");
  if (run !== undefined && isDirectory(run)) {
    run.children!.clear();
    Object.assign(run, { mtimeSec, mtimeNsec });
  }
  filterXattrs(root);
}

function filterXattrs(node: TreeNode): void {
  const capability = node.xattrs?.get(CAPABILITY);
  node.xattrs = capability && new Map([[CAPABILITY, capability]]);
  for (const child of node.children?.values() ?? []) filterXattrs(child);
}

/** The kernel of the harness's own tests: the virtual DUT's. */
import { prepareKernel } from "../../../scripts/prepare.ts";

export const locateTestKernel = async () => (await prepareKernel()).kernel;

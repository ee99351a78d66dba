/**
 * A program of its own: writes the supervisor's facts from the command line. The supervisor runs it when the agent died before it
 * wrote them, or may not be started because the image is damaged.
 */
import { readFileSync } from "node:fs";
import { readSupervisorFacts } from "../job/supervisor-facts.ts";
import { PATHS } from "../paths.ts";
import { FactsFile } from "./facts-file.ts";

new FactsFile(PATHS.facts, readSupervisorFacts(readFileSync("/proc/cmdline", "utf8")));

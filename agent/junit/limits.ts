/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { KiB, MiB } from "../units.ts";

/** GitLab refuses a report of more than 250,000 objects; a case with its attributes and its reason has about ten. */
export const JUNIT_MAX_CASES = 15_000;
/** GitLab takes 30 MB a file; names are read by people, so a third of it is much. */
export const JUNIT_MAX_BYTES = 10 * MiB;
export const JUNIT_MAX_SUITES = 500;
export const JUNIT_NAME_MAX_CHARS = 1_000;
/** Of a failure's own words: a screen or two. */
export const JUNIT_DETAILS_MAX_CHARS = 8_000;
/** Of one line of a result file; what is longer is no result. */
export const JUNIT_LINE_MAX_BYTES = 16 * KiB;
/** Of a file in XML, which is parsed in one go: a second here, ten on a small board. */
export const JUNIT_XML_MAX_BYTES = 10_000_000;
/** testsuites, suites in suites, testcase, failure: nobody nests deeper. */
export const JUNIT_XML_MAX_DEPTH = 32;
/** Lines around a failure that are shown with it. */
export const TAP_DIAGNOSTIC_LINES = 40;
/** Results of subtests that wait for the line of the test they belong to. */
export const TAP_WAITING_MAX_CASES = 20_000;
export const TAP_MAX_DEPTH = 16;

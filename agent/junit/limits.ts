/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { KiB, MiB } from "../units.ts";

/** GitLab refuses a report of more than 250,000 objects; a case with its attributes and its reason has about ten. */
export const JUNIT_MAX_CASES = 15_000;
/** GitLab accepts 30 MB per file. */
export const JUNIT_MAX_BYTES = 10 * MiB;
export const JUNIT_MAX_SUITES = 500;
export const JUNIT_NAME_MAX_CHARS = 1_000;
/** Of a failure's text: one or two screens. */
export const JUNIT_DETAILS_MAX_CHARS = 8_000;
/** No result is on a longer line. */
export const JUNIT_LINE_MAX_BYTES = 16 * KiB;
/** Of an XML file, which is parsed at once: in 1 s, or 10 s on a small board. */
export const JUNIT_XML_MAX_BYTES = 10_000_000;
/** testsuites, nested suites, testcase, failure: real files nest less. */
export const JUNIT_XML_MAX_DEPTH = 32;
/** Lines around a failure that are shown with it. */
export const TAP_DIAGNOSTIC_LINES = 40;
/** Results of subtests that wait for the line of their test. */
export const TAP_WAITING_MAX_CASES = 20_000;
export const TAP_MAX_DEPTH = 16;

/**
 * Reads JUnit XML as test frameworks write it (testsuites, testsuite, testcase; failure, error, skipped, system-out).
 * The file is untrusted: no document type, no entities except XML's own, bounded size and depth.
 */
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { JUNIT_XML_MAX_BYTES, JUNIT_XML_MAX_DEPTH } from "./limits.ts";
import type { TestCase, TestSuite } from "./test-case.ts";
import { decodeXmlEntities } from "./xml-text.ts";

export interface XmlSuites {
  /** `name` is undefined for a suite without one. */
  suite(name: string | undefined): TestSuite;
}

/** Adds the cases to `suites`; returns the reason when the text is not a JUnit file. */
export function readJunitXml(text: string, suites: XmlSuites): string | undefined {
  if (text.length > JUNIT_XML_MAX_BYTES) return `it is larger than ${JUNIT_XML_MAX_BYTES / 1e6} MB`;
  if (!isJunitXml(text)) return "its root element is neither testsuites nor testsuite";
  const reader = new CaseReader(suites);
  try {
    // Before the validator, whose memory grows with the depth.
    createParser(new DepthReader()).parse(text);
    const valid = XMLValidator.validate(text);
    if (valid !== true) return `line ${valid.err.line}: ${valid.err.msg.slice(0, 100)}`;
    createParser(reader).parse(text);
    reader.end();
    return undefined;
  } catch (error) {
    return (error as Error).message.slice(0, 100);
  }
}

/** Whether a file's first bytes are of this format; a document type is rejected. */
export function isJunitXml(head: string): boolean {
  let at = skipSpace(head, head.startsWith("\ufeff") ? 1 : 0);
  for (;;) {
    const end = head.startsWith("<?", at) ? "?>" : head.startsWith("<!--", at) ? "-->" : undefined;
    if (end === undefined) break;
    const close = head.indexOf(end, at + 2);
    if (close === -1) return false;
    at = skipSpace(head, close + end.length);
  }
  return /^<testsuites?[\s/>]/.test(head.slice(at, at + 20));
}

function skipSpace(text: string, from: number): number {
  const space = /\s*/y;
  space.lastIndex = from;
  space.exec(text);
  return space.lastIndex;
}

interface ElementSink {
  element(path: string, attributes: Readonly<Record<string, string>>): void;
  text(path: string, text: string): void;
}

/** Passes elements and texts on as they are read, without building a tree. */
function createParser(sink: ElementSink): XMLParser {
  return new XMLParser({
    preserveOrder: true,
    ignoreAttributes: false,
    attributeNamePrefix: "",
    processEntities: false,
    htmlEntities: false,
    parseTagValue: false,
    parseAttributeValue: false,
    trimValues: true,
    updateTag(_name, path, attributes) {
      if (path.split(".", JUNIT_XML_MAX_DEPTH + 1).length > JUNIT_XML_MAX_DEPTH)
        throw new Error(`its elements are nested deeper than ${JUNIT_XML_MAX_DEPTH}`);
      sink.element(path, (attributes ?? {}) as Record<string, string>);
      return false as unknown as boolean;
    },
    tagValueProcessor(_name, value, path) {
      sink.text(path, String(value));
      return "";
    },
  });
}

class DepthReader implements ElementSink {
  element(): void {}
  text(): void {}
}

class CaseReader implements ElementSink {
  readonly #suites: XmlSuites;
  /** Open suites by their depth. */
  readonly #open = new Map<number, TestSuite>();
  #suite: TestSuite | undefined;
  #case: TestCase | undefined;
  /** A failure or error element was read. */
  #isJudged = false;

  constructor(suites: XmlSuites) {
    this.#suites = suites;
  }

  element(path: string, attributes: Readonly<Record<string, string>>): void {
    const read = (name: string) => {
      const value = attributes[name];
      return typeof value === "string" && value !== "" ? decodeXmlEntities(value) : undefined;
    };
    switch (lastName(path)) {
      case "testsuite":
        this.end();
        this.#open.set(countDepth(path), this.#suites.suite(read("name")));
        break;
      case "testcase": {
        this.end();
        this.#suite = this.#open.get(countDepth(path) - 1);
        this.#isJudged = false;
        const [classname, file] = [read("classname"), read("file")];
        const seconds = Number(read("time")?.replaceAll(",", ""));
        this.#case = {
          name: read("name") ?? "no name",
          outcome: readOutcome(read),
          classname,
          file,
          timeSeconds: seconds >= 0 ? seconds : undefined,
        };
        break;
      }
      case "failure":
        this.#judge(path, "failed", read("message") ?? read("type"));
        break;
      case "error":
        this.#judge(path, "error", read("message") ?? read("type"));
        break;
      case "skipped":
        this.#judge(path, "skipped", read("message"));
        break;
    }
  }

  text(path: string, text: string): void {
    const testCase = this.#case;
    if (!testCase || !path.includes("testcase.")) return;
    switch (lastName(path)) {
      case "failure":
      case "error":
      case "skipped":
        testCase.details = joinTexts(testCase.details, decodeXmlEntities(text));
        break;
      case "system-out":
      case "system-err":
        testCase.output = joinTexts(testCase.output, decodeXmlEntities(text));
        break;
    }
  }

  /** Adds the last case. */
  end(): void {
    if (!this.#case) return;
    this.#suite ??= this.#suites.suite(undefined);
    this.#suite.add(this.#case);
    this.#case = undefined;
  }

  /** The first failure element counts. */
  #judge(path: string, outcome: TestCase["outcome"], message: string | undefined): void {
    const testCase = this.#case;
    if (!testCase || !path.includes("testcase.") || this.#isJudged) return;
    this.#isJudged = outcome !== "skipped";
    testCase.outcome = outcome;
    if (message !== undefined) testCase.message = message;
  }
}

const OUTCOME_BY_STATUS: readonly [RegExp, TestCase["outcome"]][] = [
  [/^(fail(ed|ure)?)$/i, "failed"],
  [/^(error|errored|broken)$/i, "error"],
  [/^(skip(ped)?|suppressed|ignored|disabled|not[ _-]?run|pending|inactive)$/i, "skipped"],
];

/** Of attributes, which some frameworks write in place of an element: `result` (GoogleTest), `status` (GoogleTest, CTest), `executed`. */
function readOutcome(read: (name: string) => string | undefined): TestCase["outcome"] {
  for (const status of [read("result"), read("status")]) {
    const [, outcome] = OUTCOME_BY_STATUS.find(([pattern]) => pattern.test(status ?? "")) ?? [];
    if (outcome) return outcome;
  }
  return /^false$/i.test(read("executed") ?? "") ? "skipped" : "passed";
}

function countDepth(path: string): number {
  return path.split(".").length;
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}

function joinTexts(first: string | undefined, second: string): string {
  return first === undefined ? second : `${first}\n${second}`;
}

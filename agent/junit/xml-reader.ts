/**
 * Reads JUnit XML as test frameworks write it (testsuites, testsuite, testcase; failure, error, skipped, system-out).
 * The file is the test's, so it is hostile: no document type, no entity but XML's own, bounded in size and depth.
 */
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { JUNIT_XML_MAX_BYTES, JUNIT_XML_MAX_DEPTH } from "./limits.ts";
import type { TestCase, TestSuite } from "./test-case.ts";
import { decodeXmlEntities } from "./xml-text.ts";

export interface XmlSuites {
  /** `name` is the suite's own, where it has one. */
  suite(name: string | undefined): TestSuite;
}

/** Why a text is no JUnit file; undefined when it is one, and then its cases are in `suites`. */
export function readJunitXml(text: string, suites: XmlSuites): string | undefined {
  if (text.length > JUNIT_XML_MAX_BYTES) return `it is larger than ${JUNIT_XML_MAX_BYTES / 1e6} MB`;
  if (!isJunitXml(text)) return "its root is no testsuites and no testsuite";
  const reader = new CaseReader(suites);
  try {
    // First, and before any check that keeps all open elements in mind: it stops at the depth that it is told.
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

/** Whether a file's first bytes are of this format; a document type is none that anybody needs. */
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

/** Elements and texts are given away as they are read, so that no tree of them is built. */
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
  /** Those that are open, by their depth. */
  readonly #open = new Map<number, TestSuite>();
  #suite: TestSuite | undefined;
  #case: TestCase | undefined;

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
        const [classname, file] = [read("classname"), read("file")];
        const seconds = Number(read("time")?.replaceAll(",", ""));
        this.#case = {
          name: read("name") ?? "no name",
          outcome: "passed",
          classname,
          file,
          ...(seconds >= 0 && { timeSeconds: seconds }),
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

  /** Gives the case that was read last. */
  end(): void {
    if (!this.#case) return;
    this.#suite ??= this.#suites.suite(undefined);
    this.#suite.add(this.#case);
    this.#case = undefined;
  }

  /** Of several the first failure counts. */
  #judge(path: string, outcome: TestCase["outcome"], message: string | undefined): void {
    const testCase = this.#case;
    if (!testCase || !path.includes("testcase.") || isBad(testCase)) return;
    testCase.outcome = outcome;
    if (message !== undefined) testCase.message = message;
  }
}

function isBad({ outcome }: TestCase): boolean {
  return outcome === "failed" || outcome === "error";
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

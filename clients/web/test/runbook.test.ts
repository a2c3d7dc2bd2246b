// A section of the runbooks as blocks of text.
import { describe, expect, it } from "vitest";
import { addressOf, anchor, pieces, section, slugOf } from "../src/ops/runbook.ts";

const BOOK = [
  "# Operations",
  "## Runs without `terminal`",
  "<!-- facts -->",
  "Look at the **runner**,",
  "then at [the queue](https://example.org).",
  "",
  "- one",
  "  goes on",
  "2. two",
  "```",
  "## no heading",
  "```",
  "### Deeper",
  "In it.",
  "## Next",
  "Not in it.",
].join("\n");

describe("a section", () => {
  it("goes to the next heading of its rank, as plain text", () => {
    expect(section(BOOK, "runs-without-terminal")).toEqual([
      { kind: "heading", text: "Runs without terminal" },
      {
        kind: "paragraph",
        pieces: [
          { kind: "plain", text: "Look at the " },
          { kind: "strong", text: "runner" },
          { kind: "plain", text: ", then at " },
          { kind: "plain", text: "the queue" },
          { kind: "plain", text: "." },
        ],
      },
      { kind: "list", items: [[{ kind: "plain", text: "one goes on" }], [{ kind: "plain", text: "two" }]] },
      { kind: "code", text: "## no heading" },
      { kind: "heading", text: "Deeper" },
      { kind: "paragraph", pieces: [{ kind: "plain", text: "In it." }] },
    ]);
  });

  it("is empty where there is none", () => expect(section(BOOK, "no-heading")).toEqual([]));
});

describe("a line", () => {
  it("leads to other sections, and nowhere else", () => {
    expect(pieces("**Do.** *Tried* as [JobAge](#jobage), `make run`.")).toEqual([
      { kind: "strong", text: "Do." },
      { kind: "plain", text: " " },
      { kind: "strong", text: "Tried" },
      { kind: "plain", text: " as " },
      { kind: "link", text: "JobAge", slug: "jobage" },
      { kind: "plain", text: ", " },
      { kind: "code", text: "make run" },
      { kind: "plain", text: "." },
    ]);
    expect(pieces("[here](javascript:alert(1))").some(({ kind }) => kind === "link")).toBe(false);
  });

  it("keeps marks that mark nothing", () => expect(pieces("2 * 3 ** 2 [x]")).toEqual([{ kind: "plain", text: "2 * 3 ** 2 [x]" }]));
});

describe("addresses", () => {
  it("are of our own server, whatever a finding says", () => {
    expect(slugOf("operations.md#a-b")).toBe("a-b");
    expect(addressOf("javascript:alert(1)#x y")).toBe("/ops/operations.md#x%20y");
    expect(addressOf("javascript:alert(1)")).toBe("/ops/operations.md#javascript%3Aalert(1)");
  });

  it("are made of headings as code hosts do", () => {
    expect(anchor("What is `PostFailed{reason}`, and why?")).toBe("what-is-postfailedreason-and-why");
  });
});

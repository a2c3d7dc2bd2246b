// One section of docs/operations.md, taken apart into blocks, and lines into pieces. Pure but for the fetch.

export type Piece =
  | { readonly kind: "plain"; readonly text: string }
  | { readonly kind: "strong"; readonly text: string }
  | { readonly kind: "code"; readonly text: string }
  | { readonly kind: "link"; readonly text: string; readonly slug: string };

export type Block =
  | { readonly kind: "heading"; readonly text: string }
  | { readonly kind: "code"; readonly text: string }
  | { readonly kind: "paragraph"; readonly pieces: readonly Piece[] }
  | { readonly kind: "list"; readonly items: readonly (readonly Piece[])[] };

const SOURCE = "/ops/operations.md";
const HEADING = /^(#{1,6})\s+(.*?)\s*#*$/;
const MARKED = /\*\*(.+?)\*\*|\*(\w+)\*|`([^`]+)`|\[([^\]]*)\]\(([^)]*)\)/g;
const ITEM = /^\s*(?:[-*]|\d+\.)\s+(.*)$/;

export function slugOf(runbook: string): string {
  return runbook.slice(runbook.indexOf("#") + 1);
}

export function addressOf(runbook: string): string {
  return `${SOURCE}#${encodeURIComponent(slugOf(runbook))}`;
}

/** The anchor that a heading has where Markdown is shown: as code hosts make it. */
export function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");
}

/** The section under a heading, up to the next of its rank; nothing where there is none. */
export function section(markdown: string, slug: string): readonly Block[] {
  const lines = markdown.split(/\r?\n/);
  let rank = 0;
  let inCode = false;
  const mine: string[] = [];
  for (const line of lines) {
    if (line.startsWith("```")) inCode = !inCode;
    const heading = inCode ? null : HEADING.exec(line);
    const depth = heading?.[1]?.length ?? 0;
    if (rank > 0 && depth > 0 && depth <= rank) break;
    if (rank === 0 && depth > 0 && anchor(heading?.[2] ?? "") === slug) rank = depth;
    if (rank > 0 && !line.startsWith("<!--")) mine.push(line);
  }
  return blocks(mine);
}

function blocks(lines: readonly string[]): readonly Block[] {
  const found: Block[] = [];
  let open: string[] = [];
  let items: string[] = [];
  let code: string[] | undefined;
  const close = (): void => {
    if (open.length > 0) found.push({ kind: "paragraph", pieces: pieces(open.join(" ")) });
    if (items.length > 0) found.push({ kind: "list", items: items.map(pieces) });
    [open, items] = [[], []];
  };
  for (const line of lines) {
    if (line.startsWith("```")) {
      close();
      if (code !== undefined) found.push({ kind: "code", text: code.join("\n") });
      code = code === undefined ? [] : undefined;
    } else if (code !== undefined) code.push(line);
    else if (HEADING.test(line)) {
      close();
      found.push({ kind: "heading", text: plain(HEADING.exec(line)?.[2] ?? "") });
    } else if (ITEM.test(line)) {
      if (open.length > 0) close();
      items.push(ITEM.exec(line)?.[1] ?? "");
    } else if (line.trim() === "") close();
    else if (items.length > 0) items.push(`${items.pop() ?? ""} ${line.trim()}`);
    else open.push(line.trim());
  }
  close();
  return found;
}

/** A line by its marks. Only a link to another section of the page is one here; of others the words stay. */
export function pieces(line: string): readonly Piece[] {
  const found: Piece[] = [];
  let end = 0;
  const tell = (text: string): void => void (text !== "" && found.push({ kind: "plain", text }));
  for (const match of line.matchAll(MARKED)) {
    const [whole, strong, stressed, code, words = "", target = ""] = match;
    tell(line.slice(end, match.index));
    end = match.index + whole.length;
    if (strong !== undefined || stressed !== undefined) found.push({ kind: "strong", text: strong ?? stressed ?? "" });
    else if (code !== undefined) found.push({ kind: "code", text: code });
    else if (target.startsWith("#")) found.push({ kind: "link", text: words, slug: slugOf(target) });
    else tell(words);
  }
  tell(line.slice(end));
  return found;
}

function plain(line: string): string {
  return pieces(line)
    .map(({ text }) => text)
    .join("");
}

/** Fetches the runbooks and returns the section's blocks; throws where there are none to be had. */
export async function fetchSection(slug: string): Promise<readonly Block[]> {
  const reply = await fetch(SOURCE);
  if (!reply.ok) throw new Error(`The server says ${reply.status}.`);
  return section(await reply.text(), slug);
}

// A runbook, read where it is needed: a section of docs/operations.md, from which links lead to others.

import { useEffect, useRef, useState } from "preact/hooks";
import { addressOf, type Block, fetchSection, type Piece } from "./runbook.ts";

export interface RunbookDialogProps {
  /** The section that is shown first. */
  readonly slug: string;
  readonly close: () => void;
}

export function RunbookDialog({ slug: first, close }: RunbookDialogProps) {
  const [slug, go] = useState(first);
  const dialog = useRef<HTMLDialogElement>(null);
  const [blocks, become] = useState<readonly Block[]>();
  const [trouble, complain] = useState<string>();

  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    let isWanted = true;
    const show = (found: readonly Block[]): void => {
      if (!isWanted) return;
      become(found);
      dialog.current?.scrollTo(0, 0);
    };
    fetchSection(slug).then(show, (error: unknown) => complain(error instanceof Error ? error.message : "It cannot be read."));
    return () => {
      isWanted = false;
    };
  }, [slug]);

  return (
    <dialog ref={dialog} class="runbook" aria-label="Runbook" onClose={close}>
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
      <div class="pages">
        {blocks?.map((block, index) => <Shown key={`${slug} ${index}`} block={block} go={go} />)}
        {blocks?.length === 0 && <p>docs/operations.md has no section “{slug}”.</p>}
        {trouble !== undefined && <p>The runbook “{slug}” in docs/operations.md cannot be shown here. {trouble}</p>}
      </div>
    </dialog>
  );
}

type Go = (slug: string) => void;

function Shown({ block, go }: { block: Block; go: Go }) {
  if (block.kind === "list") {
    return (
      <ul>
        {block.items.map((item, index) => (
          <li key={index}>
            <Line pieces={item} go={go} />
          </li>
        ))}
      </ul>
    );
  }
  if (block.kind === "heading") return <h3>{block.text}</h3>;
  if (block.kind === "code") return <pre>{block.text}</pre>;
  return (
    <p>
      <Line pieces={block.pieces} go={go} />
    </p>
  );
}

function Line({ pieces, go }: { pieces: readonly Piece[]; go: Go }) {
  return <>{pieces.map((piece, index) => shown(piece, index, go))}</>;
}

function shown(piece: Piece, index: number, go: Go) {
  if (piece.kind === "strong") return <b key={index}>{piece.text}</b>;
  if (piece.kind === "code") return <code key={index}>{piece.text}</code>;
  if (piece.kind === "plain") return piece.text;
  const { text, slug } = piece;
  return (
    <a
      key={index}
      href={addressOf(slug)}
      onClick={(event) => {
        event.preventDefault();
        go(slug);
      }}
    >
      {text}
    </a>
  );
}

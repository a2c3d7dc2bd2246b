// The way from what is wrong to its runbook: a link that opens the section here.

import { addressOf, slugOf } from "./runbook.ts";

export interface RunbookLinkProps {
  readonly runbook: string;
  /** What it is the runbook of, for who cannot see where the link stands. */
  readonly of: string;
  readonly open: (slug: string) => void;
}

export function RunbookLink({ runbook, of, open }: RunbookLinkProps) {
  return (
    <a
      href={addressOf(runbook)}
      onClick={(event) => {
        event.preventDefault();
        open(slugOf(runbook));
      }}
    >
      Runbook<span class="unseen"> of {of}</span>
    </a>
  );
}

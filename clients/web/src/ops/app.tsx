// The ops page: asks the server each second and shows its answers as questions, from the users down to the machinery.

import { useEffect, useState } from "preact/hooks";
import icon from "../kit/icon.svg";
import { poll, silentFor, type Standing } from "../kit/poll.ts";
import { overview, runs, type Overview, type Run } from "./answers.ts";
import { Cost } from "./cost.tsx";
import { Missing } from "./missing.tsx";
import { People } from "./people.tsx";
import { RunbookDialog } from "./runbook_dialog.tsx";
import { RunsTable } from "./runs_table.tsx";
import { Served } from "./served.tsx";
import { Times } from "./times.tsx";
import { Trouble } from "./trouble.tsx";
import { missing, silence } from "./words.ts";
import { WindowChoice, windowOfAddress } from "./window_choice.tsx";

const EVERY_MS = 1000;

interface Picture {
  readonly overview: Overview;
  readonly runs: readonly Run[];
}

export function App() {
  const [minutes, choose] = useState(windowOfAddress);
  const [standing, become] = useState<Standing<Picture>>({ answer: undefined, answeredAt: Date.now(), trouble: undefined });
  const [runbook, open] = useState<string>();
  const picture = standing.answer;

  useEffect(
    () => poll({ ask: (signal) => ask(minutes, signal), tell: (next) => become((last) => keep(last, next)), everyMs: EVERY_MS }),
    [minutes],
  );
  useEffect(() => {
    const gone = picture === undefined ? 0 : missing(picture.overview);
    document.title = `${gone > 0 ? `(${gone}) ` : ""}Ops · Playbyplay`;
  }, [picture]);

  return (
    <>
      <header class="bar">
        <img class="mark" src={icon} alt="" width="24" height="24" />
        <h1>
          Playbyplay <span>ops</span>
        </h1>
        <Pulse standing={standing} />
        <WindowChoice minutes={minutes} choose={choose} />
      </header>
      {picture === undefined ? (
        <main class="waiting">
          <p role="status">{standing.trouble ?? "Asking the server."}</p>
        </main>
      ) : (
        <main>
          <Served overview={picture.overview} />
          <Missing overview={picture.overview} open={open} />
          <Times overview={picture.overview} />
          <People overview={picture.overview} open={open} />
          <Cost overview={picture.overview} />
          <Trouble overview={picture.overview} open={open} />
          <RunsTable runs={picture.runs} now={picture.overview.now} />
        </main>
      )}
      {runbook !== undefined && <RunbookDialog key={runbook} slug={runbook} close={() => open(undefined)} />}
    </>
  );
}

async function ask(minutes: number, signal: AbortSignal): Promise<Picture> {
  const [seen, newest] = await Promise.all([overview(minutes, signal), runs(signal)]);
  return { overview: seen, runs: newest };
}

/** The last picture stays until there is a newer one, also over a change of the window. */
function keep(last: Standing<Picture>, next: Standing<Picture>): Standing<Picture> {
  return next.answer === undefined ? { ...last, trouble: next.trouble } : next;
}

/** Whether what is shown is of now. Said aloud once, not each second. */
function Pulse({ standing }: { standing: Standing<Picture> }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const ticking = setInterval(() => tick((last) => last + 1), EVERY_MS);
    return () => clearInterval(ticking);
  }, []);
  const silent = silentFor(standing, Date.now());
  const isAway = silent > 0;
  return (
    <>
      <p class={isAway ? "pulse away" : "pulse"} title={standing.trouble} aria-hidden="true">
        {isAway ? silence(silent) : "live"}
      </p>
      <p class="unseen" role="status">
        {isAway ? (standing.trouble ?? "The server does not answer.") : ""}
      </p>
    </>
  );
}

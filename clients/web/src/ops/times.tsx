// Where does time go? The median and the slow end of each wait of a message's way.

import type { Overview } from "./answers.ts";
import { Question, TimeChart } from "./parts.tsx";

const WAITS = [
  ["TimeToAccepted", "Until it is accepted"],
  ["TimeToAgentStarted", "Until the agent starts"],
  ["TimeToFirstVisible", "Until its user sees something"],
  ["TimeToTerminal", "Until the end"],
  ["SilenceMax", "Longest silence of a run"],
  ["JobAge", "Until a runner has the job"],
] as const;

export function Times({ overview }: { overview: Overview }) {
  return (
    <Question title="Where does time go?">
      <div class="charts">
        {WAITS.map(([metric, title]) => (
          <TimeChart key={metric} overview={overview} metric={metric} title={title} />
        ))}
      </div>
    </Question>
  );
}

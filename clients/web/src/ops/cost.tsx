// What does it cost? Tokens, calls of the model, time in tools.

import { count, duration } from "../kit/format.ts";
import type { Overview } from "./answers.ts";
import { Chart } from "./chart.tsx";
import { bar, CountTile, frame, meaningOf, Question, Tile, TimeChart } from "./parts.tsx";
import { total } from "./series.ts";

export function Cost({ overview }: { overview: Overview }) {
  const messages = total(overview, "MessageAccepted");
  const calls = total(overview, "ModelCalls");
  return (
    <Question title="What does it cost?">
      <dl class="tiles">
        <CountTile overview={overview} metric="TokensIn" label="Tokens in" />
        <CountTile overview={overview} metric="TokensOut" label="Tokens out" />
        <Tile
          label="Model calls"
          value={count(calls)}
          note={messages > 0 ? `${count(calls / messages)} for each message` : meaningOf(overview, "ModelCalls")}
        />
        <Tile label="Tool time" value={duration(total(overview, "ToolTime"))} note={meaningOf(overview, "ToolTime")} />
      </dl>
      <div class="charts two">
        <Chart
          {...frame(overview)}
          title={`Tokens, per ${duration(overview.bucketMs)}`}
          unit="count"
          bars={[bar(overview, "TokensIn", "in", "blue"), bar(overview, "TokensOut", "out", "violet")]}
        />
        <TimeChart overview={overview} metric="ToolTime" title="A tool call" />
      </div>
    </Question>
  );
}

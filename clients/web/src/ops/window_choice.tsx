// How far back the page looks. The choice stands in the address, so that a reload or a link keeps it.

const WINDOWS = [
  [5, "5 min"],
  [15, "15 min"],
  [60, "1 h"],
  [1440, "24 h"],
] as const;
const NAME = "minutes";

export function windowOfAddress(): number {
  const asked = Number(new URLSearchParams(location.search).get(NAME));
  return WINDOWS.find(([minutes]) => minutes === asked)?.[0] ?? 15;
}

export function WindowChoice({ minutes, choose }: { minutes: number; choose: (minutes: number) => void }) {
  return (
    <fieldset class="windows">
      <legend class="unseen">How far back</legend>
      {WINDOWS.map(([each, label]) => (
        <label key={each}>
          <input
            type="radio"
            name={NAME}
            checked={each === minutes}
            onChange={() => {
              history.replaceState(null, "", `?${NAME}=${each}`);
              choose(each);
            }}
          />
          <span>{label}</span>
        </label>
      ))}
    </fieldset>
  );
}

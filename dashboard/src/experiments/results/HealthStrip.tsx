import { Text } from "@mantine/core";
import type { ReactNode } from "react";
import type { Experiment, Results } from "../../api/types";
import type { IconName } from "../../components/Icon";
import { Tag, type Tone } from "../../components/Tag";
import { formatAgo, formatCount, formatPercent, formatPValue, formatTime } from "../../lib/format";

/** A report older than this, of a running experiment, means that the analysis does not run. Milliseconds. */
const STALE_AFTER_MS = 15 * 60_000;

interface ChipProps {
  name: string;
  tone: Tone;
  icon: IconName;
  word: string;
  children: ReactNode;
  testId: string;
}

function Chip({ name, tone, icon, word, children, testId }: ChipProps) {
  return (
    <li className="card" style={{ padding: "12px 16px", listStyle: "none" }} data-testid={testId}>
      <div style={{ display: "flex", justifyContent: "space-between", gap: 8, alignItems: "center" }}>
        <Text component="h3" size="sm" fw={600} m={0}>
          {name}
        </Text>
        <Tag tone={tone} icon={icon}>
          {word}
        </Tag>
      </div>
      <Text size="xs" c="dimmed" mt={4}>
        {children}
      </Text>
    </li>
  );
}

function SampleRatio({ results }: { results: Results }) {
  const { srm } = results;
  if (!srm) {
    return (
      <Chip name="Sample ratio" tone="info" icon="clock" word="Waiting" testId="health-srm">
        Checked once units have been exposed.
      </Chip>
    );
  }
  const numbers = `p ${formatPValue(srm.p_value)}, always-valid p ${formatPValue(srm.sequential_p_value)}`;
  return srm.passed ? (
    <Chip name="Sample ratio" tone="good" icon="check" word="OK" testId="health-srm">
      The variants have the sizes that their weights predict ({numbers}).
    </Chip>
  ) : (
    <Chip name="Sample ratio" tone="bad" icon="cross" word="Mismatch" testId="health-srm">
      The sizes contradict the weights ({numbers}): assignment or logging is broken.
    </Chip>
  );
}

function MultipleExposures({ results, total }: { results: Results; total: number }) {
  const excluded = results.excluded_multiple_variants;
  const share = total + excluded === 0 ? 0 : excluded / (total + excluded);
  const [tone, icon, word]: [Tone, IconName, string] =
    excluded === 0
      ? ["good", "check", "None"]
      : share < 0.01
        ? ["calm", "dash", "Few"]
        : ["warn", "warn", "Many"];
  return (
    <Chip name="Multiple exposures" tone={tone} icon={icon} word={word} testId="health-multiple">
      {excluded === 0
        ? "No unit was seen in two variants."
        : `${formatCount(excluded)} units (${formatPercent(share)}) were seen in two variants and are left out.`}
    </Chip>
  );
}

function Freshness({
  results,
  experiment,
  nowMs,
}: {
  results: Results;
  experiment: Experiment | undefined;
  nowMs: number;
}) {
  if (!results.as_of) {
    return (
      <Chip name="Freshness" tone="info" icon="clock" word="Waiting" testId="health-freshness">
        No report has arrived yet.
      </Chip>
    );
  }
  const stale = experiment?.status === "running" && nowMs - Date.parse(results.as_of) > STALE_AFTER_MS;
  const age = `Computed ${formatAgo(results.as_of, nowMs)}, at ${formatTime(results.as_of)}.`;
  return stale ? (
    <Chip name="Freshness" tone="warn" icon="warn" word="Stale" testId="health-freshness">
      {age} The analysis may not be running.
    </Chip>
  ) : (
    <Chip name="Freshness" tone="good" icon="check" word="OK" testId="health-freshness">
      {age}
    </Chip>
  );
}

/** How far the smallest variant has come towards its planned units; null without a plan. */
function progress({ planned, exposures }: Results): number | null {
  const shares = Object.entries(planned?.required_units_per_variant ?? {})
    .filter(([, required]) => required > 0)
    .map(([variant, required]) => (exposures[variant] ?? 0) / required);
  return shares.length === 0 ? null : Math.min(1, ...shares);
}

function Horizon({ results }: { results: Results }) {
  const reached = progress(results);
  const end = results.planned?.planned_end_at;
  const plan = [
    reached === null ? "" : `${formatPercent(reached)} of the planned units.`,
    end ? `Planned end: ${formatTime(end)}.` : "",
  ]
    .filter((part) => part !== "")
    .join(" ");
  return results.status === "ready" ? (
    <Chip name="Horizon" tone="good" icon="check" word="Reached" testId="health-horizon">
      p-values and verdicts may be read. {plan}
    </Chip>
  ) : (
    <Chip name="Horizon" tone="info" icon="clock" word="Collecting" testId="health-horizon">
      p-values and verdicts are withheld until the planned end. {plan}
    </Chip>
  );
}

interface HealthStripProps {
  results: Results;
  experiment: Experiment | undefined;
  total: number;
  nowMs: number;
}

/** Whether the numbers below may be trusted at all. */
export function HealthStrip({ results, experiment, total, nowMs }: HealthStripProps) {
  return (
    <section aria-labelledby="health-title">
      <h2 id="health-title" className="visually-hidden">
        Health
      </h2>
      <ul
        style={{
          display: "grid",
          gridTemplateColumns: "repeat(auto-fit, minmax(230px, 1fr))",
          gap: "var(--mantine-spacing-md)",
          margin: 0,
          padding: 0,
        }}
        data-testid="health"
      >
        <SampleRatio results={results} />
        <MultipleExposures results={results} total={total} />
        <Freshness results={results} experiment={experiment} nowMs={nowMs} />
        <Horizon results={results} />
      </ul>
    </section>
  );
}

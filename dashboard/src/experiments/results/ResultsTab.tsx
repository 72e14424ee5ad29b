import { Group, List, Stack, Switch, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { loadResults } from "../../api/experiments";
import type { Experiment, Results } from "../../api/types";
import { Empty } from "../../components/Empty";
import { Loading } from "../../components/Loading";
import { Notice } from "../../components/Notice";
import { ProblemAlert } from "../../components/ProblemAlert";
import { useNow } from "../../components/useNow";
import { formatAgo, formatTime } from "../../lib/format";
import { useExperiment } from "../page/useExperiment";
import { ExposuresPanel } from "./ExposuresPanel";
import { HealthStrip } from "./HealthStrip";
import { NumbersTable } from "./NumbersTable";
import { Scorecard } from "./Scorecard";
import { describeRow, scorecard } from "./scorecard";

const route = getRouteApi("/experiments/$id");

/** How often the page asks again while there is something to come. Milliseconds. */
const REFRESH_MS = 4_000;

function refreshEvery(experiment: Experiment | undefined): number | false {
  switch (experiment?.status) {
    case "running":
      return REFRESH_MS;
    case "paused":
    case "completed":
      // Late events still count.
      return REFRESH_MS * 4;
    default:
      return false;
  }
}

/** Generations in words: the first and the last suffice, since they only grow. */
function describeGenerations(generations: readonly number[]): string {
  const [first] = generations;
  const last = generations.at(-1);
  if (first === undefined || last === undefined) return "none seen";
  return first === last ? String(first) : `${first} to ${last}`;
}

interface AsOfProps {
  results: Results;
  refreshedAtMs: number;
  live: boolean;
  peek: boolean;
  onPeek: (peek: boolean) => void;
}

function AsOf({ results, refreshedAtMs, live, peek, onPeek }: AsOfProps) {
  const now = useNow();
  const refreshed = formatAgo(new Date(refreshedAtMs).toISOString(), now);
  return (
    <Group justify="space-between">
      <Text size="sm" data-testid="as-of">
        As of <strong>{formatTime(results.as_of)}</strong>, refreshed {refreshed}
        {live ? "; renews by itself." : "."}{" "}
        <Text component="span" size="sm" c="dimmed">
          Phase {results.phase}, config generation {describeGenerations(results.generations)}.
        </Text>
      </Text>
      {(peek || results.status !== "ready") && (
        <Switch
          size="sm"
          label="Show p-values before the horizon"
          checked={peek}
          onChange={(event) => onPeek(event.currentTarget.checked)}
          data-testid="peek"
        />
      )}
    </Group>
  );
}

/** Warnings that have a notice, or a place, of their own. */
const SAID_ALREADY = ["peeking", "sample_ratio_mismatch"];

function Warnings({ results, peek }: { results: Results; peek: boolean }) {
  const { srm } = results;
  const warnings = results.warnings.filter(({ code }) => !SAID_ALREADY.includes(code));
  return (
    <>
      {srm?.passed === false && (
        <Notice tone="bad" urgent title="The sample ratio is wrong" testId="srm-alert">
          Units are missing, or doubled, in some variant. Until the cause is known, no difference below means
          anything.
        </Notice>
      )}
      {peek && (
        <Notice tone="warn" title="You are peeking" testId="peek-alert">
          These p-values are only right at the planned end. Stopping because one of them looks good makes
          false positives several times likelier.
        </Notice>
      )}
      {warnings.length > 0 && (
        <Notice tone="warn" title="To keep in mind" testId="warnings">
          <List size="sm">
            {warnings.map((warning, index) => (
              <List.Item key={index}>
                {warning.detail} <span className="mono">({warning.code})</span>
              </List.Item>
            ))}
          </List>
        </Notice>
      )}
    </>
  );
}

function Report({
  results,
  experiment,
  peek,
}: {
  results: Results;
  experiment: Experiment | undefined;
  peek: boolean;
}) {
  const now = useNow();
  const groups = useMemo(() => scorecard(results, experiment), [results, experiment]);
  const primary = groups.filter(({ role }) => role === "primary").flatMap(({ metrics }) => metrics);
  const total = Object.values(results.exposures).reduce((sum, n) => sum + n, 0);
  return (
    <>
      <HealthStrip results={results} experiment={experiment} total={total} nowMs={now} />
      <Warnings results={results} peek={peek} />
      {primary.length > 0 && (
        <section className="card" aria-labelledby="summary-title" data-testid="summary">
          <Title order={2} size="h4" id="summary-title" mb="xs">
            In words
          </Title>
          {results.srm?.passed === false ? (
            <Text size="sm">Nothing can be said while the sample ratio is wrong.</Text>
          ) : (
            <List size="sm">
              {primary.flatMap(({ rows }) =>
                rows.map((row) => (
                  <List.Item key={`${row.metric} ${row.treatment.variant}`}>
                    {describeRow(row, results.alpha)}
                  </List.Item>
                )),
              )}
            </List>
          )}
        </section>
      )}
      <ExposuresPanel results={results} experiment={experiment} />
      {groups.length > 0 && <Scorecard groups={groups} results={results} />}
      {groups.length > 0 && <NumbersTable results={results} />}
    </>
  );
}

/** What the experiment has found so far, renewed while one looks. */
export function ResultsTab() {
  const { id } = route.useParams();
  const experiment = useExperiment(id).data?.data;
  const [peek, setPeek] = useState(false);
  const refresh = refreshEvery(experiment);
  const results = useQuery({
    queryKey: ["results", id, peek],
    queryFn: ({ signal }) => loadResults(id, peek, signal),
    refetchInterval: refresh,
    placeholderData: (previous) => previous,
  });

  if (results.isPending) {
    return (
      <div className="card">
        <Loading what="the results" rows={8} />
      </div>
    );
  }
  if (results.data === undefined) {
    return (
      <ProblemAlert
        error={results.error}
        what="Could not load the results"
        onRetry={() => void results.refetch()}
      />
    );
  }
  const report = results.data;
  return (
    <Stack gap="lg" data-testid="results">
      {results.isError && (
        <ProblemAlert error={results.error} what="Could not refresh; these are the last results" />
      )}
      {report.status === "no_data" ? (
        <div className="card">
          <Empty title={experiment?.status === "draft" ? "Not started" : "No data yet"}>
            {experiment?.status === "draft"
              ? "Results appear here once the experiment has been started and units have been exposed."
              : "The first exposures appear here after the next analysis. This page renews itself."}
          </Empty>
        </div>
      ) : (
        <>
          <AsOf
            results={report}
            refreshedAtMs={results.dataUpdatedAt}
            live={refresh !== false}
            peek={peek}
            onPeek={setPeek}
          />
          <Report results={report} experiment={experiment} peek={peek} />
        </>
      )}
    </Stack>
  );
}

import { Group, Text, Title } from "@mantine/core";
import { getRouteApi, Link, Outlet } from "@tanstack/react-router";
import { useEffect } from "react";
import type { Experiment } from "../../api/types";
import { LinkButton } from "../../components/LinkButton";
import { Loading } from "../../components/Loading";
import { PageHead } from "../../components/PageHead";
import { ProblemAlert } from "../../components/ProblemAlert";
import { StatusTag } from "../../components/StatusTag";
import { useNow } from "../../components/useNow";
import { dayNumber, formatCount, formatTime } from "../../lib/format";
import { Actions } from "./Actions";
import { AllocationBar } from "./AllocationBar";
import { useExperiment } from "./useExperiment";

const route = getRouteApi("/experiments/$id");

/** How long it has run, beside how long it was meant to. */
function runTime(experiment: Experiment, nowMs: number): string {
  if (!experiment.started_at) return "Not started";
  const until = experiment.ended_at ? Date.parse(experiment.ended_at) : nowMs;
  const day = dayNumber(experiment.started_at, until);
  const planned = experiment.estimated_duration_days;
  const days = planned
    ? `day ${formatCount(day)} of ${formatCount(planned)} planned`
    : `day ${formatCount(day)}`;
  return experiment.ended_at
    ? `Ran ${formatTime(experiment.started_at)} to ${formatTime(experiment.ended_at)} (${days})`
    : `Since ${formatTime(experiment.started_at)} (${days})`;
}

function Header({ experiment, etag }: { experiment: Experiment; etag: string | undefined }) {
  const now = useNow(30_000);
  useEffect(() => {
    document.title = `${experiment.name} · Sortition`;
  }, [experiment.name]);
  return (
    <header
      className="card"
      style={{ marginBottom: "var(--mantine-spacing-lg)" }}
      data-testid="experiment-header"
    >
      <Group justify="space-between" align="flex-start">
        <div style={{ minWidth: 0 }}>
          <Group gap="sm">
            <Title order={1} size="h2" style={{ overflowWrap: "anywhere" }}>
              {experiment.name}
            </Title>
            <StatusTag status={experiment.status} />
          </Group>
          {experiment.hypothesis && (
            <Text size="sm" c="dimmed" mt={4} maw={760}>
              {experiment.hypothesis}
            </Text>
          )}
          <Group gap="lg" mt="xs">
            <Text size="sm">{runTime(experiment, now)}</Text>
            {experiment.phase > 0 && <Text size="sm">Phase {experiment.phase}</Text>}
            {experiment.shipped && <Text size="sm">Everyone gets {experiment.shipped}</Text>}
            <Text size="sm">Version {experiment.version}</Text>
          </Group>
        </div>
        <Actions experiment={experiment} etag={etag} />
      </Group>
      <AllocationBar experiment={experiment} />
      <nav aria-label="Experiment">
        <Group gap="xs" mt="md">
          <Link
            to="/experiments/$id/results"
            params={{ id: experiment.id }}
            className="nav-link"
            data-testid="tab-results"
          >
            Results
          </Link>
          <Link
            to="/experiments/$id"
            params={{ id: experiment.id }}
            activeOptions={{ exact: true }}
            className="nav-link"
            data-testid="tab-setup"
          >
            Setup
          </Link>
        </Group>
      </nav>
    </header>
  );
}

/** One experiment: what it is, where it stands, what can be done; its results and its setup below. */
export function ExperimentPage() {
  const { id } = route.useParams();
  const query = useExperiment(id);
  if (query.isPending) {
    return (
      <div className="card">
        <Loading what="the experiment" />
      </div>
    );
  }
  if (query.isError && query.data === undefined) {
    return (
      <>
        <PageHead
          title="Experiment"
          actions={<LinkButton to="/experiments">To the experiments</LinkButton>}
        />
        <ProblemAlert
          error={query.error}
          what="Could not load the experiment"
          onRetry={() => void query.refetch()}
        />
      </>
    );
  }
  return (
    <>
      <Header experiment={query.data.data} etag={query.data.etag} />
      <Outlet />
    </>
  );
}

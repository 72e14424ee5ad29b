import { Button, Group, Select, Table, Text, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { listExperiments } from "../api/experiments";
import type { Experiment } from "../api/types";
import { Empty } from "../components/Empty";
import { Icon } from "../components/Icon";
import { LinkButton } from "../components/LinkButton";
import { Loading } from "../components/Loading";
import { PageHead } from "../components/PageHead";
import { ProblemAlert } from "../components/ProblemAlert";
import { StatusTag } from "../components/StatusTag";
import { formatCount, formatDay, NOTHING } from "../lib/format";

const route = getRouteApi("/experiments");

const STATUSES = [
  { value: "", label: "Every status" },
  { value: "draft", label: "Draft" },
  { value: "scheduled", label: "Scheduled" },
  { value: "running", label: "Running" },
  { value: "paused", label: "Paused" },
  { value: "completed", label: "Completed" },
  { value: "archived", label: "Archived" },
];

const PAGE_SIZE = 25;

function ExperimentRow({ experiment }: { experiment: Experiment }) {
  const to = experiment.status === "draft" ? "/experiments/$id" : "/experiments/$id/results";
  return (
    <Table.Tr data-testid="experiment-row" data-name={experiment.name}>
      <Table.Td>
        <Link to={to} params={{ id: experiment.id }} className="link">
          <Text component="span" size="sm" fw={600}>
            {experiment.name}
          </Text>
        </Link>
        {experiment.hypothesis && (
          <Text size="xs" c="dimmed" lineClamp={1} maw={420}>
            {experiment.hypothesis}
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        <StatusTag status={experiment.status} />
      </Table.Td>
      <Table.Td>
        {experiment.layer.name ?? (
          <Text component="span" size="sm" c="dimmed">
            its own
          </Text>
        )}
      </Table.Td>
      <Table.Td className="mono">{experiment.primary_metric ?? NOTHING}</Table.Td>
      <Table.Td className="numeric">{experiment.variants.length}</Table.Td>
      <Table.Td style={{ whiteSpace: "nowrap" }}>{formatDay(experiment.started_at)}</Table.Td>
    </Table.Tr>
  );
}

/** All experiments of the environment, newest first, narrowed by name and status. */
export function ExperimentsPage() {
  const { q, status } = route.useSearch();
  const navigate = route.useNavigate();
  const [typed, setTyped] = useState(q ?? "");
  const narrow = useDebouncedCallback((text: string) => {
    void navigate({ search: (before) => ({ ...before, q: text }), replace: true });
  }, 250);

  const list = useInfiniteQuery({
    queryKey: ["experiments", { q, status }],
    queryFn: ({ pageParam, signal }) =>
      listExperiments({ q, status, cursor: pageParam, limit: PAGE_SIZE }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: 15_000,
  });
  const experiments = list.data?.pages.flatMap((page) => page.data) ?? [];
  const narrowed = q !== undefined || status !== undefined;

  return (
    <>
      <PageHead
        title="Experiments"
        lead="What is being tried, on whom, and how far it has come."
        actions={
          <LinkButton to="/experiments/new" leftSection={<Icon name="plus" />} data-testid="new-experiment">
            New experiment
          </LinkButton>
        }
      />
      <div className="card">
        <Group mb="md" gap="sm">
          <TextInput
            aria-label="Search by name"
            placeholder="Search by name"
            data-testid="search"
            w={260}
            value={typed}
            onChange={(event) => {
              setTyped(event.currentTarget.value);
              narrow(event.currentTarget.value);
            }}
          />
          <Select
            aria-label="Status"
            data-testid="status-filter"
            w={160}
            data={STATUSES}
            value={status ?? ""}
            allowDeselect={false}
            onChange={(value) => void navigate({ search: (before) => ({ ...before, status: value ?? "" }) })}
          />
        </Group>
        {list.isPending ? (
          <Loading what="experiments" />
        ) : list.isError ? (
          <ProblemAlert
            error={list.error}
            what="Could not load the experiments"
            onRetry={() => void list.refetch()}
          />
        ) : experiments.length === 0 ? (
          <Empty
            title={narrowed ? "No experiment matches" : "No experiments yet"}
            action={!narrowed && <LinkButton to="/experiments/new">Create the first one</LinkButton>}
          >
            {narrowed
              ? "Try another name or another status."
              : "An experiment compares variants on units that are split at random, and judges them by the metrics that you choose."}
          </Empty>
        ) : (
          <>
            <div className="table-scroll">
              <Table verticalSpacing="sm" highlightOnHover data-testid="experiments">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Name</Table.Th>
                    <Table.Th>Status</Table.Th>
                    <Table.Th>Layer</Table.Th>
                    <Table.Th>Primary metric</Table.Th>
                    <Table.Th className="numeric">Variants</Table.Th>
                    <Table.Th>Started</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {experiments.map((experiment) => (
                    <ExperimentRow key={experiment.id} experiment={experiment} />
                  ))}
                </Table.Tbody>
              </Table>
            </div>
            <Group justify="space-between" mt="md">
              <Text size="sm" c="dimmed" role="status" data-testid="shown">
                {formatCount(experiments.length)} shown{list.hasNextPage ? ", more to load" : ""}
              </Text>
              {list.hasNextPage && (
                <Button
                  variant="default"
                  size="xs"
                  loading={list.isFetchingNextPage}
                  onClick={() => void list.fetchNextPage()}
                  data-testid="load-more"
                >
                  Load more
                </Button>
              )}
            </Group>
          </>
        )}
      </div>
    </>
  );
}

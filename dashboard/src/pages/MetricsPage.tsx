import { Table } from "@mantine/core";
import { listMetrics } from "../api/catalogue";
import type { Metric } from "../api/types";
import { CataloguePage } from "../components/CataloguePage";
import { NOTHING } from "../lib/format";

function source(metric: Metric): string {
  if (metric.kind === "ratio" && metric.numerator && metric.denominator) {
    return `${metric.numerator.aggregation}(${metric.numerator.event}) / ${metric.denominator.aggregation}(${metric.denominator.event})`;
  }
  return metric.event ?? NOTHING;
}

/** The catalogue of metrics that experiments may be judged by. */
export function MetricsPage() {
  return (
    <CataloguePage
      title="Metrics"
      lead="Rules that turn what a unit did after its first exposure into a number."
      queryKey="metrics"
      load={listMetrics}
      empty="Create them with POST /api/v1/metrics; an experiment needs a primary one."
    >
      {(metrics) => (
        <Table verticalSpacing="sm" data-testid="metrics">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Name</Table.Th>
              <Table.Th>Kind</Table.Th>
              <Table.Th>Event</Table.Th>
              <Table.Th>Better when it</Table.Th>
              <Table.Th>Window</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {metrics.map((metric) => (
              <Table.Tr key={metric.name}>
                <Table.Td fw={600}>{metric.name}</Table.Td>
                <Table.Td>
                  {metric.kind === "quantile" ? `quantile ${metric.quantile ?? ""}` : metric.kind}
                </Table.Td>
                <Table.Td className="mono">{source(metric)}</Table.Td>
                <Table.Td>{metric.direction === "decrease" ? "falls" : "rises"}</Table.Td>
                <Table.Td>{metric.window ?? "no limit"}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </CataloguePage>
  );
}

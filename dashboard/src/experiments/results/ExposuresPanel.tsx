import { Table, Text, Title } from "@mantine/core";
import type { Experiment, Results } from "../../api/types";
import { variantColor } from "../../components/variantColor";
import { formatCount, formatPercent, formatPValue, formatValue } from "../../lib/format";

/** Pixels. */
const BAR_WIDTH = 320;
const BAR_HEIGHT = 16;

interface ArmRow {
  variant: string;
  actual: number;
  expected: number | undefined;
}

/** The arms in the experiment's order, then whatever else was seen. */
function arms(results: Results, experiment: Experiment | undefined): ArmRow[] {
  const { exposures } = results;
  const declared = experiment?.variants.map(({ name }) => name) ?? [];
  const seen = Object.keys(exposures).filter((name) => !declared.includes(name));
  return [...declared, ...seen].map((variant) => ({
    variant,
    actual: exposures[variant] ?? 0,
    expected: results.srm?.expected[variant],
  }));
}

function ArmBar({ row, index, largest }: { row: ArmRow; index: number; largest: number }) {
  const width = (n: number) => (largest === 0 ? 0 : (n / largest) * (BAR_WIDTH - 6));
  return (
    <svg
      role="img"
      width={BAR_WIDTH}
      height={BAR_HEIGHT + 6}
      style={{ display: "block" }}
      aria-label={`${row.variant}: ${formatCount(row.actual)} exposed${
        row.expected === undefined ? "" : `, ${formatCount(row.expected)} expected`
      }`}
      data-testid={`exposure-bar-${row.variant}`}
    >
      <rect
        x={0}
        y={3}
        width={width(row.actual)}
        height={BAR_HEIGHT}
        rx={3}
        style={{ fill: variantColor(index) }}
      />
      {row.expected !== undefined && (
        <line
          x1={width(row.expected)}
          x2={width(row.expected)}
          y1={0}
          y2={BAR_HEIGHT + 6}
          style={{ stroke: "var(--mantine-color-text)", strokeWidth: 2 }}
        />
      )}
    </svg>
  );
}

/** How many units each variant has, beside how many its weight predicts. */
export function ExposuresPanel({
  results,
  experiment,
}: {
  results: Results;
  experiment: Experiment | undefined;
}) {
  const rows = arms(results, experiment);
  const total = rows.reduce((sum, { actual }) => sum + actual, 0);
  const largest = Math.max(1, ...rows.flatMap(({ actual, expected }) => [actual, expected ?? 0]));
  const { srm } = results;
  return (
    <section className="card" aria-labelledby="exposures-title" data-testid="exposures">
      <Title order={2} size="h4" id="exposures-title">
        Exposures
      </Title>
      <Text size="sm" c="dimmed" mb="sm">
        {formatCount(total)} units received a variant. The mark on each bar is the number that the weights
        predict.
      </Text>
      <div className="table-scroll">
        <Table verticalSpacing="xs">
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">Variant</Table.Th>
              <Table.Th scope="col" className="numeric">
                Actual
              </Table.Th>
              <Table.Th scope="col" className="numeric">
                Expected
              </Table.Th>
              <Table.Th scope="col" className="numeric">
                Difference
              </Table.Th>
              <Table.Th scope="col" className="numeric">
                χ² part
              </Table.Th>
              <Table.Th scope="col" className="numeric">
                Share
              </Table.Th>
              <Table.Th scope="col">
                <span className="visually-hidden">Drawing</span>
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row, index) => {
              const difference = row.expected === undefined ? undefined : row.actual - row.expected;
              const part =
                difference === undefined || !row.expected
                  ? undefined
                  : (difference * difference) / row.expected;
              return (
                <Table.Tr key={row.variant} data-testid={`exposure-${row.variant}`}>
                  <Table.Th scope="row">{row.variant}</Table.Th>
                  <Table.Td className="numeric">{formatCount(row.actual)}</Table.Td>
                  <Table.Td className="numeric">{formatValue(row.expected)}</Table.Td>
                  <Table.Td className="numeric">{formatValue(difference, true)}</Table.Td>
                  <Table.Td className="numeric">{formatValue(part)}</Table.Td>
                  <Table.Td className="numeric">
                    {total === 0 ? "–" : formatPercent(row.actual / total)}
                  </Table.Td>
                  <Table.Td>
                    <ArmBar row={row} index={index} largest={largest} />
                  </Table.Td>
                </Table.Tr>
              );
            })}
          </Table.Tbody>
        </Table>
      </div>
      {srm && typeof srm.statistic === "number" && (
        <Text size="sm" mt="sm" data-testid="srm-summary">
          Sample-ratio check: χ² = {formatValue(srm.statistic)}, p = {formatPValue(srm.p_value)}; always-valid
          p = {formatPValue(srm.sequential_p_value)}, {srm.passed ? "passed" : "failed"}.
        </Text>
      )}
    </section>
  );
}

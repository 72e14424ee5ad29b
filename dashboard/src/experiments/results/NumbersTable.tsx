import { Button, Table } from "@mantine/core";
import type { Results } from "../../api/types";
import { formatCount, formatPValue, formatValue, NOTHING } from "../../lib/format";
import { cells, toCsv, type Cell } from "./csv";

const HEADINGS = [
  "Metric",
  "Role",
  "Variant",
  "Units",
  "Value",
  "Standard deviation",
  "Method",
  "Effect",
  "Standard error",
  "Interval from",
  "to",
  "Relative change",
  "from",
  "to",
  "p-value",
  "Adjusted p-value",
  "Verdict",
];

const COUNT = 0;
const P_VALUES = [11, 12];

function show(cell: Cell, column: number): string {
  if (cell === null) return NOTHING;
  if (typeof cell === "string") return cell;
  if (column === COUNT) return formatCount(cell);
  return P_VALUES.includes(column) ? formatPValue(cell) : formatValue(cell);
}

function download(results: Results) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([toCsv(results)], { type: "text/csv" }));
  link.download = `${results.experiment}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** The twin of the drawings: every number of the report. */
export function NumbersTable({ results }: { results: Results }) {
  return (
    <details className="card" data-testid="numbers">
      <summary>All numbers as a table</summary>
      <div className="table-scroll" tabIndex={0} role="region" aria-label="All numbers, scrolls sideways">
        <Table verticalSpacing="xs" fz="xs" mt="sm" miw={1200}>
          <Table.Thead>
            <Table.Tr>
              {HEADINGS.map((heading, index) => (
                <Table.Th key={index} scope="col" className={index > 2 ? "numeric" : ""}>
                  {heading}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {results.metrics.flatMap((metric) =>
              metric.variants.map((variant) => (
                <Table.Tr key={`${metric.metric} ${variant.variant}`}>
                  <Table.Td>{metric.metric}</Table.Td>
                  <Table.Td>{metric.role}</Table.Td>
                  <Table.Td>{variant.variant}</Table.Td>
                  {cells(variant).map((cell, column) => (
                    <Table.Td key={column} className="numeric">
                      {show(cell, column)}
                    </Table.Td>
                  ))}
                </Table.Tr>
              )),
            )}
          </Table.Tbody>
        </Table>
      </div>
      <Button
        variant="default"
        size="xs"
        mt="sm"
        onClick={() => download(results)}
        data-testid="download-csv"
      >
        Download as CSV
      </Button>
    </details>
  );
}

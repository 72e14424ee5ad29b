import { Button, Table } from "@mantine/core";
import type { Results, VariantResult } from "../../api/types";
import { formatCount, formatPValue, formatValue, NOTHING } from "../../lib/format";

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

function cells(variant: VariantResult): (string | number | null)[] {
  return [
    variant.n,
    variant.value,
    variant.std_dev ?? null,
    variant.method ?? null,
    variant.effect ?? null,
    variant.se ?? null,
    variant.ci?.[0] ?? null,
    variant.ci?.[1] ?? null,
    variant.lift ?? null,
    variant.lift_ci?.[0] ?? null,
    variant.lift_ci?.[1] ?? null,
    variant.p_value ?? null,
    variant.p_adjusted ?? null,
    variant.verdict ?? null,
  ];
}

const COUNT = 0;
const P_VALUES = [11, 12];

function show(cell: string | number | null, column: number): string {
  if (cell === null) return NOTHING;
  if (typeof cell === "string") return cell;
  if (column === COUNT) return formatCount(cell);
  return P_VALUES.includes(column) ? formatPValue(cell) : formatValue(cell);
}

/** A table as comma-separated values (RFC 4180), numbers in full. */
export function toCsv(results: Results): string {
  const quote = (cell: string | number | null) => {
    const text = cell === null ? "" : String(cell);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const rows = (results.metrics ?? []).flatMap((metric) =>
    metric.variants.map((variant) => [metric.metric, metric.role, variant.variant, ...cells(variant)]),
  );
  const headings = [
    "metric,role,variant,n,value,std_dev,method,effect,se,ci_lo,ci_hi,lift,lift_ci_lo,lift_ci_hi,p_value,p_adjusted,verdict",
  ];
  return [...headings, ...rows.map((row) => row.map(quote).join(","))].join("\r\n") + "\r\n";
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
            {(results.metrics ?? []).flatMap((metric) =>
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

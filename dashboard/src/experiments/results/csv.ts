/** The report's numbers as rows of a table. */
import type { Results, VariantResult } from "../../api/types";

export type Cell = string | number | null;

/** Every number of one variant, in the order of the table's columns. */
export function cells(variant: VariantResult): Cell[] {
  return [
    variant.n,
    variant.value ?? null,
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

/** All rows as comma-separated values (RFC 4180), numbers in full. */
export function toCsv(results: Results): string {
  const quote = (cell: Cell) => {
    const text = cell === null ? "" : String(cell);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const rows = results.metrics.flatMap((metric) =>
    metric.variants.map((variant) => [metric.metric, metric.role, variant.variant, ...cells(variant)]),
  );
  const headings = [
    "metric,role,variant,n,value,std_dev,method,effect,se,ci_lo,ci_hi,lift,lift_ci_lo,lift_ci_hi,p_value,p_adjusted,verdict",
  ];
  return [...headings, ...rows.map((row) => row.map(quote).join(","))].join("\r\n") + "\r\n";
}

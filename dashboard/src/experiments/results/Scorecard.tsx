import { Group as Line, Table, Text, Title, Tooltip } from "@mantine/core";
import { Fragment, useMemo } from "react";
import type { MetricKind, Results, VariantResult } from "../../api/types";
import { Icon } from "../../components/Icon";
import { Tag } from "../../components/Tag";
import { formatCount, formatInterval, formatPercent } from "../../lib/format";
import { sharedAxis, type DrawnInterval } from "../../lib/interval";
import { AxisLabels, CHART_WIDTH, IntervalBar } from "./IntervalChart";
import {
  confidence,
  describeRow,
  formatDifference,
  formatMetricValue,
  formatShownPValue,
  verdictLook,
  whyNoInterval,
  type Group,
  type Row,
} from "./scorecard";

const HORIZON_REASON =
  "A fixed-horizon p-value is only right at the end that was planned. Until the planned sample or duration is reached, or the experiment is completed, it is withheld, so that looking early cannot mislead.";

function PValue({ row }: { row: Row }) {
  const shown = formatShownPValue(row.treatment);
  if (typeof row.treatment.p_value === "number") return <>p {shown}</>;
  return (
    <Tooltip
      label={HORIZON_REASON}
      multiline
      w={300}
      withArrow
      events={{ hover: true, focus: true, touch: true }}
    >
      <span tabIndex={0} style={{ textDecoration: "underline dotted" }}>
        p {shown}
      </span>
    </Tooltip>
  );
}

function ChangeCell({ row }: { row: Row }) {
  const { treatment, drawn } = row;
  if (drawn === null) {
    return (
      <>
        {typeof treatment.lift === "number" && <div>{formatPercent(treatment.lift, true)}</div>}
        <Text component="div" size="xs" c="dimmed" style={{ whiteSpace: "normal", textWrap: "balance" }}>
          {whyNoInterval(row)}
        </Text>
      </>
    );
  }
  return (
    <>
      <Text component="div" size="sm" fw={600}>
        {formatPercent(drawn.point, true)}
      </Text>
      <Text component="div" size="xs" c="dimmed" data-testid={`ci-${row.metric}-${treatment.variant}`}>
        {formatInterval([drawn.lo, drawn.hi], formatPercent)}
      </Text>
    </>
  );
}

/** A variant's value, with the number of exposed units that it rests on. */
function Value({ kind, variant }: { kind: MetricKind; variant: VariantResult }) {
  return (
    <>
      <div>{formatMetricValue(kind, variant.value)}</div>
      <Text component="div" size="xs" c="dimmed">
        {formatCount(variant.n)} units
      </Text>
    </>
  );
}

/** A name that may break after its underscores. */
function Broken({ name }: { name: string }) {
  const parts = name.split(/(?<=_)/);
  return (
    <div>
      {parts.map((part, at) => (
        <Fragment key={at}>
          {part}
          <wbr />
        </Fragment>
      ))}
    </div>
  );
}

interface RowCellsProps {
  row: Row;
  axis: ReturnType<typeof sharedAxis>;
  alpha: number | undefined;
}

function RowCells({ row, axis, alpha }: RowCellsProps) {
  const { control, treatment, kind } = row;
  const look = verdictLook(row);
  return (
    <>
      <Table.Td>{treatment.variant}</Table.Td>
      <Table.Td className="numeric">
        <Value kind={kind} variant={control} />
      </Table.Td>
      <Table.Td className="numeric">
        <Value kind={kind} variant={treatment} />
      </Table.Td>
      <Table.Td className="numeric">{formatDifference(kind, treatment.effect)}</Table.Td>
      <Table.Td className="numeric">
        <ChangeCell row={row} />
      </Table.Td>
      <Table.Td style={{ padding: 0 }}>
        <IntervalBar row={row} axis={axis} label={describeRow(row, alpha)} />
      </Table.Td>
      <Table.Td>
        <Tag tone={look.tone} icon={look.icon} testId={`verdict-${row.metric}-${treatment.variant}`}>
          {look.word}
        </Tag>
        <Text component="div" size="xs" c="dimmed" mt={2}>
          <PValue row={row} />
        </Text>
      </Table.Td>
    </>
  );
}

/** Every metric of every treatment against the control, with its interval on one shared axis. */
export function Scorecard({ groups, results }: { groups: Group[]; results: Results }) {
  const axis = useMemo(() => {
    const intervals = groups
      .flatMap(({ metrics }) => metrics.flatMap(({ rows }) => rows.map(({ drawn }) => drawn)))
      .filter((drawn): drawn is DrawnInterval => drawn !== null);
    return sharedAxis(intervals, CHART_WIDTH);
  }, [groups]);
  const level = confidence(results.alpha);
  const rows = groups.flatMap(({ metrics }) => metrics.flatMap((metric) => metric.rows));
  return (
    <section className="card" aria-labelledby="scorecard-title" data-testid="scorecard">
      <Line justify="space-between" mb="sm" align="flex-start">
        <Title order={2} size="h4" id="scorecard-title">
          Scorecard
        </Title>
        <Text size="xs" c="dimmed" maw={560}>
          Changes are against the control. Bars are {level} intervals
          {rows.some(({ alwaysValid }) => alwaysValid)
            ? "; dashed ones hold at every look, solid ones only at the planned end"
            : ""}
          {rows.some(({ mde }) => mde !== null) ? "; the shaded band is the smallest effect of the plan" : ""}
          {rows.some(({ margin }) => margin !== null) ? "; the dashed line is a guardrail's margin" : ""}.
        </Text>
      </Line>
      <div className="table-scroll" tabIndex={0} role="region" aria-label="Scorecard, scrolls sideways">
        <Table verticalSpacing="xs" horizontalSpacing="xs" miw={900}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">Metric</Table.Th>
              <Table.Th scope="col">Variant</Table.Th>
              <Table.Th scope="col" className="numeric">
                Control
              </Table.Th>
              <Table.Th scope="col" className="numeric">
                Variant
              </Table.Th>
              <Table.Th scope="col" className="numeric">
                Difference
              </Table.Th>
              <Table.Th scope="col" className="numeric">
                Relative change
              </Table.Th>
              <Table.Th scope="col" style={{ padding: 0, verticalAlign: "bottom" }}>
                <span className="visually-hidden">{level} interval of the relative change</span>
                <AxisLabels axis={axis} />
              </Table.Th>
              <Table.Th scope="col">Verdict</Table.Th>
            </Table.Tr>
          </Table.Thead>
          {groups.map((group) => (
            <Table.Tbody key={group.role} data-testid={`group-${group.role}`}>
              <Table.Tr>
                <Table.Th colSpan={8} scope="rowgroup" bg="var(--page-ground)">
                  <Text component="span" size="xs" fw={700} tt="uppercase">
                    {group.title}
                  </Text>{" "}
                  <Text component="span" size="xs" fw={400}>
                    {group.note}
                  </Text>
                </Table.Th>
              </Table.Tr>
              {group.metrics.map(({ metric, kind, lowerIsBetter, rows: metricRows }) => (
                <Fragment key={metric}>
                  {metricRows.map((row, index) => (
                    <Table.Tr
                      key={row.treatment.variant}
                      data-testid={`row-${metric}-${row.treatment.variant}`}
                    >
                      {index === 0 && (
                        <Table.Th scope="row" rowSpan={metricRows.length} className="metric-name">
                          <Broken name={metric} />
                          <Text component="div" size="xs" c="dimmed" fw={400}>
                            <Icon name={lowerIsBetter ? "down" : "up"} size={10} /> {kind},{" "}
                            {lowerIsBetter ? "lower" : "higher"} is better
                          </Text>
                        </Table.Th>
                      )}
                      <RowCells row={row} axis={axis} alpha={results.alpha} />
                    </Table.Tr>
                  ))}
                </Fragment>
              ))}
            </Table.Tbody>
          ))}
        </Table>
      </div>
    </section>
  );
}

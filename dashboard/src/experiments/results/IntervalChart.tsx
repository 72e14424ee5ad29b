import { placeInterval, type SharedAxis } from "../../lib/interval";
import { formatPercent } from "../../lib/format";
import { verdictLook, type Row } from "./scorecard";

/** Pixels. */
export const CHART_WIDTH = 176;
const ROW_HEIGHT = 34;
const AXIS_HEIGHT = 22;
const BAR_HEIGHT = 12;

/** Ticks of the axis that all rows share; stands in the table's head. */
export function AxisLabels({ axis }: { axis: SharedAxis }) {
  return (
    <svg
      width={axis.width}
      height={AXIS_HEIGHT}
      aria-hidden="true"
      style={{ display: "block", overflow: "visible" }}
      data-testid="axis"
    >
      {axis.ticks.map((tick) => (
        <g key={tick} transform={`translate(${axis.place(tick)},0)`}>
          <line y1={AXIS_HEIGHT - 5} y2={AXIS_HEIGHT} style={{ stroke: "var(--line-strong)" }} />
          <text
            y={AXIS_HEIGHT - 9}
            textAnchor="middle"
            fontSize={11}
            fontWeight={400}
            style={{ fill: "var(--mantine-color-dimmed)", fontVariantNumeric: "tabular-nums" }}
          >
            {formatPercent(tick, true)}
          </text>
        </g>
      ))}
    </svg>
  );
}

function Arrow({ x, toRight }: { x: number; toRight: boolean }) {
  const tip = toRight ? 7 : -7;
  return <path d={`M${x},${ROW_HEIGHT / 2 - 5} l${tip},5 l${-tip},5 z`} style={{ fill: "currentColor" }} />;
}

interface IntervalBarProps {
  row: Row;
  axis: SharedAxis;
  /** The same in words. */
  label: string;
}

/** The relative change with its interval, on the shared axis. Zero is solid, a guardrail's margin dashed, the smallest effect of the plan shaded. */
export function IntervalBar({ row, axis, label }: IntervalBarProps) {
  const middle = ROW_HEIGHT / 2;
  const [min, max] = axis.domain;
  const within = (value: number) => axis.place(Math.min(max, Math.max(min, value)));
  const shape = row.drawn === null ? null : placeInterval(row.drawn, axis);
  // Before the horizon a fixed interval that leaves zero out is no finding yet, so it is not coloured like one.
  const { tone } = verdictLook(row);
  const color = tone === "good" ? "var(--good)" : tone === "bad" ? "var(--bad)" : "var(--calm)";
  return (
    <svg
      role="img"
      aria-label={label}
      width={axis.width}
      height={ROW_HEIGHT}
      style={{ display: "block", color }}
      data-testid={`interval-${row.metric}-${row.treatment.variant}`}
    >
      {row.mde !== null && (
        <rect
          x={within(-row.mde)}
          width={Math.max(0, within(row.mde) - within(-row.mde))}
          y={0}
          height={ROW_HEIGHT}
          style={{ fill: "var(--calm-ground)" }}
        />
      )}
      {axis.ticks.map((tick) => (
        <line
          key={tick}
          x1={axis.place(tick)}
          x2={axis.place(tick)}
          y1={0}
          y2={ROW_HEIGHT}
          style={{
            stroke: tick === 0 ? "var(--mantine-color-text)" : "var(--line)",
            strokeWidth: tick === 0 ? 1.4 : 1,
          }}
        />
      ))}
      {row.margin !== null && row.margin > min && row.margin < max && (
        <line
          x1={within(row.margin)}
          x2={within(row.margin)}
          y1={0}
          y2={ROW_HEIGHT}
          style={{ stroke: "var(--bad)", strokeWidth: 1.5, strokeDasharray: "4 3" }}
          data-testid={`margin-${row.metric}`}
        />
      )}
      {shape !== null && (
        <>
          <rect
            data-part="interval"
            x={shape.lo}
            width={Math.max(1, shape.hi - shape.lo)}
            y={middle - BAR_HEIGHT / 2}
            height={BAR_HEIGHT}
            rx={2}
            style={{
              fill: "currentColor",
              fillOpacity: 0.28,
              stroke: "currentColor",
              strokeWidth: 1,
              strokeDasharray: row.alwaysValid ? "3 2" : "none",
            }}
          />
          {shape.clippedLo && <Arrow x={shape.lo} toRight={false} />}
          {shape.clippedHi && <Arrow x={shape.hi} toRight />}
          {!shape.pointHidden && (
            <circle data-part="point" cx={shape.point} cy={middle} r={4.5} style={{ fill: "currentColor" }} />
          )}
        </>
      )}
    </svg>
  );
}

import { Group, Text } from "@mantine/core";
import type { Experiment } from "../../api/types";
import { variantColor } from "../../components/variantColor";
import { BUCKET_COUNT, bucketsIn, describeRanges, type Range } from "../../lib/buckets";
import { formatPercent } from "../../lib/format";

const HEIGHT = 10;

/** Ranges out of all buckets, as one thin bar. */
function RangeBar({ label, parts }: { label: string; parts: { ranges: readonly Range[]; color: string }[] }) {
  return (
    <svg
      role="img"
      aria-label={label}
      width="100%"
      height={HEIGHT}
      viewBox={`0 0 ${BUCKET_COUNT} ${HEIGHT}`}
      preserveAspectRatio="none"
      style={{ display: "block", borderRadius: 5, background: "var(--calm-ground)" }}
    >
      {parts.flatMap(({ ranges, color }) =>
        ranges.map(([lo = 0, hi = 0]) => (
          <rect key={`${color}-${lo}`} x={lo} width={hi - lo} y={0} height={HEIGHT} style={{ fill: color }} />
        )),
      )}
    </svg>
  );
}

/** Which buckets of its layer the experiment owns, and how it splits its own units. */
export function AllocationBar({ experiment }: { experiment: Experiment }) {
  const owned = experiment.layer.ranges;
  const layerName = experiment.layer.name ?? "its own layer";
  const share = formatPercent(bucketsIn(owned) / BUCKET_COUNT);
  const started = owned.length > 0;
  return (
    <div
      style={{
        display: "grid",
        gridTemplateColumns: "repeat(auto-fit, minmax(260px, 1fr))",
        gap: 24,
        marginTop: 16,
      }}
    >
      <div data-testid="allocation">
        <Group justify="space-between" mb={4} gap="xs">
          <Text size="xs" fw={600}>
            Layer: {layerName}
          </Text>
          <Text size="xs" c="dimmed">
            {started
              ? `buckets ${describeRanges(owned)} (${share})`
              : "no buckets yet: they are given at the start"}
          </Text>
        </Group>
        <RangeBar
          label={
            started
              ? `Owns buckets ${describeRanges(owned)} of ${layerName}, ${share}`
              : "Owns no buckets yet"
          }
          parts={[{ ranges: owned, color: "var(--info)" }]}
        />
      </div>
      <div data-testid="split">
        <Group justify="space-between" mb={4} gap="xs">
          <Text size="xs" fw={600}>
            Split
          </Text>
          <Text size="xs" c="dimmed">
            {experiment.variants.map(({ name, weight }) => `${name} ${weight} %`).join(" · ")}
          </Text>
        </Group>
        <RangeBar
          label={`Split: ${experiment.variants.map(({ name, weight }) => `${name} ${weight} percent`).join(", ")}`}
          parts={splitParts(experiment)}
        />
      </div>
    </div>
  );
}

/** The variants' buckets; of a draft those that they will own. */
function splitParts({ variants }: Experiment): { ranges: readonly Range[]; color: string }[] {
  return variants.map(({ ranges }, index) => ({ ranges, color: variantColor(index) }));
}

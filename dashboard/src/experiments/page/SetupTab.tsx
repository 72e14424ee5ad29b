import { Code, Table, Text, Title } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Experiment, Guardrail } from "../../api/types";
import { variantColor } from "../../components/variantColor";
import { describeRanges } from "../../lib/buckets";
import { describeCondition } from "../../lib/condition";
import { formatCount, formatPercent, formatTime, NOTHING } from "../../lib/format";
import { useExperiment } from "./useExperiment";

const route = getRouteApi("/experiments/$id");

function Facts({ rows }: { rows: [string, ReactNode][] }) {
  return (
    <Table verticalSpacing="xs" withRowBorders={false}>
      <Table.Tbody>
        {rows.map(([name, value]) => (
          <Table.Tr key={name}>
            <Table.Th scope="row" w={220} style={{ verticalAlign: "top" }}>
              {name}
            </Table.Th>
            <Table.Td>{value}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function describeGuardrail(guardrail: Guardrail): string {
  if (typeof guardrail === "string") return guardrail;
  const { metric, max_degradation: margin, margin_type: type } = guardrail;
  if (margin === null || margin === undefined) return metric;
  return `${metric} (at most ${type === "absolute" ? formatCount(margin) : formatPercent(margin)} worse)`;
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? NOTHING : names.join(", ");
}

function Variants({ experiment }: { experiment: Experiment }) {
  return (
    <div className="table-scroll">
      <Table verticalSpacing="sm" data-testid="setup-variants">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Variant</Table.Th>
            <Table.Th className="numeric">Weight</Table.Th>
            <Table.Th>Buckets of the split</Table.Th>
            <Table.Th>Payload</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {experiment.variants.map((variant, index) => (
            <Table.Tr key={variant.name}>
              <Table.Td fw={600}>
                <span
                  aria-hidden="true"
                  style={{
                    display: "inline-block",
                    width: 10,
                    height: 10,
                    borderRadius: 3,
                    marginRight: 8,
                    background: variantColor(index),
                  }}
                />
                {variant.name}
              </Table.Td>
              <Table.Td className="numeric">{variant.weight} %</Table.Td>
              <Table.Td>{describeRanges(variant.ranges)}</Table.Td>
              <Table.Td>
                <Code>{JSON.stringify(variant.config ?? null)}</Code>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}

/** Everything that was decided before the start. */
export function SetupTab() {
  const { id } = route.useParams();
  const experiment = useExperiment(id).data?.data;
  if (experiment === undefined) return null;
  const mde = experiment.min_detectable_effect;
  return (
    <div style={{ display: "grid", gap: "var(--mantine-spacing-lg)" }}>
      <section className="card" aria-labelledby="setup-variants-title">
        <Title order={2} size="h4" mb="sm" id="setup-variants-title">
          Variants
        </Title>
        <Variants experiment={experiment} />
      </section>
      <section className="card" aria-labelledby="setup-audience">
        <Title order={2} size="h4" mb="sm" id="setup-audience">
          Audience
        </Title>
        <Facts
          rows={[
            ["Targeting", experiment.targeting ? describeCondition(experiment.targeting) : "everyone"],
            ["Traffic", formatPercent(experiment.traffic / 100)],
            ["Unit", <code key="unit">{experiment.unit}</code>],
            ["Flag key", <code key="flag">{experiment.flag}</code>],
            ["Salt of the split", <code key="salt">{experiment.salt}</code>],
            ["Salt of the layer", <code key="layer-salt">{experiment.layer.salt}</code>],
            ["Sticky", experiment.sticky ? "yes" : "no"],
          ]}
        />
      </section>
      <section className="card" aria-labelledby="setup-plan">
        <Title order={2} size="h4" mb="sm" id="setup-plan">
          Metrics and plan
        </Title>
        <Facts
          rows={[
            ["Primary metric", experiment.primary_metric ?? NOTHING],
            ["Guardrails", listed(experiment.guardrail_metrics.map(describeGuardrail))],
            ["Secondary metrics", listed(experiment.secondary_metrics)],
            [
              "Smallest effect",
              typeof mde === "number"
                ? experiment.mde_type === "absolute"
                  ? `${mde} (absolute)`
                  : formatPercent(mde)
                : NOTHING,
            ],
            ["Significance level", experiment.significance_level],
            ["Power", experiment.power],
            [
              "Planned duration",
              typeof experiment.estimated_duration_days === "number"
                ? `${formatCount(experiment.estimated_duration_days)} days`
                : NOTHING,
            ],
            ["Created", formatTime(experiment.created_at)],
          ]}
        />
        <Text size="sm" c="dimmed" mt="sm">
          Any assignment can be recomputed by hand: murmur3_x86_32(salt + &quot;:&quot; + unit id) mod 10 000,
          with the salts and buckets above.
        </Text>
      </section>
    </div>
  );
}

import { MultiSelect, NumberInput, Select, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { listMetrics } from "../../api/catalogue";
import type { Metric } from "../../api/types";
import { FieldError } from "./FieldError";
import type { DraftForm } from "./form";
import { FormSection } from "./FormSection";

function label(metric: Metric): string {
  return `${metric.name} (${metric.kind}, ${metric.direction === "decrease" ? "lower is better" : "higher is better"})`;
}

/** What decides, what must not get worse, and what is looked at besides. */
export function MetricsSection({ form }: { form: DraftForm }) {
  const catalogue = useQuery({ queryKey: ["metrics"], queryFn: ({ signal }) => listMetrics(signal) });
  const options = (catalogue.data ?? []).map((metric) => ({ value: metric.name, label: label(metric) }));
  const { guardrails } = form.values;

  function chooseGuardrails(names: string[]) {
    form.setFieldValue(
      "guardrails",
      names.map(
        (metric) =>
          guardrails.find((row) => row.metric === metric) ?? { metric, maxDegradation: "" as const },
      ),
    );
  }

  return (
    <FormSection
      title="Metrics"
      lead="From the catalogue. One metric decides; choose it before there is data."
    >
      <Select
        label="Primary metric"
        description="The one that decides."
        placeholder="Choose a metric"
        searchable
        clearable
        clearButtonProps={{ "aria-label": "Clear primary metric" }}
        nothingFoundMessage="No such metric"
        data={options}
        data-testid="field-primary-metric"
        {...form.getInputProps("primaryMetric")}
        value={form.values.primaryMetric === "" ? null : form.values.primaryMetric}
        onChange={(value: string | null) => form.setFieldValue("primaryMetric", value ?? "")}
      />
      <Stack gap="xs">
        <MultiSelect
          label="Guardrails"
          description="Metrics that must not get worse by more than a margin."
          placeholder={guardrails.length === 0 ? "Choose metrics" : ""}
          searchable
          data={options}
          value={guardrails.map(({ metric }) => metric)}
          onChange={chooseGuardrails}
          error={form.errors["guardrails"]}
          data-testid="field-guardrails"
        />
        {guardrails.map((guardrail, index) => (
          <NumberInput
            key={guardrail.metric}
            label={`Largest loss of ${guardrail.metric} that is accepted`}
            placeholder="the default margin"
            suffix=" %"
            min={0}
            maw={420}
            size="xs"
            data-testid={`guardrail-${index}-margin`}
            {...form.getInputProps(`guardrails.${index}.maxDegradation`)}
          />
        ))}
      </Stack>
      <MultiSelect
        label="Secondary metrics"
        description="Looked at, never deciding."
        placeholder={form.values.secondaryMetrics.length === 0 ? "Choose metrics" : ""}
        searchable
        data={options}
        data-testid="field-secondary"
        {...form.getInputProps("secondaryMetrics")}
      />
      <FieldError
        message={catalogue.isError ? "The metric catalogue could not be loaded." : undefined}
        testId="error-catalogue"
      />
    </FormSection>
  );
}

import { NumberInput, SimpleGrid } from "@mantine/core";
import type { DraftForm } from "./form";
import { FormSection } from "./FormSection";

/** What is worth detecting, how sure to be, and for how long. */
export function PlanSection({ form }: { form: DraftForm }) {
  return (
    <FormSection
      title="Plan"
      lead="Fixed before the data: it says how many units are needed, and when the results may be read."
    >
      <SimpleGrid cols={{ base: 1, sm: 3 }} verticalSpacing="md">
        <NumberInput
          label="Smallest effect"
          description="Relative change worth detecting."
          suffix=" %"
          min={0}
          decimalScale={4}
          data-testid="field-mde"
          {...form.getInputProps("mde")}
        />
        <NumberInput
          label="Significance level"
          description="Accepted rate of false positives."
          min={0}
          max={0.5}
          step={0.01}
          data-testid="field-alpha"
          {...form.getInputProps("alpha")}
        />
        <NumberInput
          label="Power"
          description="Chance to find that effect."
          min={0.5}
          max={0.999}
          step={0.05}
          data-testid="field-power"
          {...form.getInputProps("power")}
        />
        <NumberInput
          label="Duration"
          description="Planned length."
          suffix=" days"
          min={1}
          allowDecimal={false}
          data-testid="field-duration"
          {...form.getInputProps("durationDays")}
        />
        <NumberInput
          label="Eligible units a day"
          description="As far as known; checks the power."
          min={1}
          allowDecimal={false}
          thousandSeparator
          data-testid="field-daily-units"
          {...form.getInputProps("dailyUnits")}
        />
      </SimpleGrid>
    </FormSection>
  );
}

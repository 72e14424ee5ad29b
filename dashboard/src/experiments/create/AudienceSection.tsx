import {
  ActionIcon,
  Button,
  Checkbox,
  Group,
  JsonInput,
  NumberInput,
  SegmentedControl,
  Select,
  SimpleGrid,
  Stack,
  TagsInput,
  Text,
  TextInput,
} from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { listLayers, listSegments } from "../../api/catalogue";
import { Icon } from "../../components/Icon";
import { OPERATORS } from "../../lib/condition";
import { rowKey, type TargetingMode } from "./draft";
import { FieldError } from "./FieldError";
import type { DraftForm } from "./form";
import { FormSection } from "./FormSection";

const MODES = [
  { value: "everyone", label: "Everyone" },
  { value: "builder", label: "Builder" },
  { value: "json", label: "JSON" },
];

const OPERATOR_OPTIONS = Object.entries(OPERATORS).map(([value, words]) => ({
  value,
  label: `${value}: ${words}`,
}));

function Comparisons({ form }: { form: DraftForm }) {
  const { comparisons } = form.values.targeting;
  return (
    <Stack gap="xs">
      {comparisons.map((comparison, index) => (
        <div key={comparison.key} role="group" aria-label={`Comparison ${index + 1}`}>
          <Group gap="xs" align="flex-end" wrap="nowrap" data-testid={`comparison-${index}`}>
            <TextInput
              label="Attribute"
              placeholder="returning"
              style={{ flex: 1 }}
              {...form.getInputProps(`targeting.comparisons.${index}.attribute`)}
            />
            <Select
              label="Operator"
              data={OPERATOR_OPTIONS}
              allowDeselect={false}
              searchable
              style={{ flex: 1 }}
              {...form.getInputProps(`targeting.comparisons.${index}.op`)}
            />
            <TextInput
              label="Values, separated by commas"
              placeholder='true, 18, "18"'
              disabled={comparison.op === "exists"}
              style={{ flex: 2 }}
              {...form.getInputProps(`targeting.comparisons.${index}.values`)}
            />
            <ActionIcon
              variant="subtle"
              color="red.9"
              mb={4}
              aria-label={`Remove comparison ${index + 1}`}
              onClick={() => form.removeListItem("targeting.comparisons", index)}
            >
              <Icon name="cross" />
            </ActionIcon>
          </Group>
          <FieldError
            message={form.errors[`targeting.comparisons.${index}`]}
            testId={`error-comparison-${index}`}
          />
        </div>
      ))}
      <div>
        <Button
          variant="default"
          size="xs"
          leftSection={<Icon name="plus" />}
          data-testid="add-comparison"
          onClick={() =>
            form.insertListItem("targeting.comparisons", {
              key: rowKey(),
              attribute: "",
              op: "eq",
              values: "",
            })
          }
        >
          Add comparison
        </Button>
      </div>
    </Stack>
  );
}

function Builder({ form }: { form: DraftForm }) {
  const segments = useQuery({ queryKey: ["segments"], queryFn: ({ signal }) => listSegments(signal) });
  return (
    <Stack gap="sm">
      <Text size="sm">Units take part when all of this holds:</Text>
      <SimpleGrid cols={{ base: 1, sm: 3 }} verticalSpacing="sm">
        <TagsInput
          label="Country is one of"
          placeholder={form.values.targeting.countries.length === 0 ? "US, CA" : ""}
          splitChars={[",", " "]}
          clearable
          clearButtonProps={{ "aria-label": "Clear countries" }}
          data-testid="field-countries"
          {...form.getInputProps("targeting.countries")}
        />
        <TagsInput
          label="Platform is one of"
          placeholder={form.values.targeting.platforms.length === 0 ? "web, ios" : ""}
          splitChars={[",", " "]}
          clearable
          clearButtonProps={{ "aria-label": "Clear platforms" }}
          data-testid="field-platforms"
          {...form.getInputProps("targeting.platforms")}
        />
        <Select
          label="In segment"
          placeholder="Any"
          searchable
          clearable
          clearButtonProps={{ "aria-label": "Clear segment" }}
          nothingFoundMessage="No such segment"
          data={segments.data?.map(({ key }) => key) ?? []}
          data-testid="field-segment"
          {...form.getInputProps("targeting.segment")}
          value={form.values.targeting.segment === "" ? null : form.values.targeting.segment}
          onChange={(value: string | null) => form.setFieldValue("targeting.segment", value ?? "")}
        />
      </SimpleGrid>
      <Comparisons form={form} />
    </Stack>
  );
}

/** Who may take part, and how the units are kept apart from other experiments. */
export function AudienceSection({ form }: { form: DraftForm }) {
  const layers = useQuery({ queryKey: ["layers"], queryFn: ({ signal }) => listLayers(signal) });
  const { targeting } = form.values;
  return (
    <FormSection title="Audience" lead="Who takes part. A unit is in at most one experiment of a layer.">
      <SimpleGrid cols={{ base: 1, sm: 2 }} verticalSpacing="md">
        <Select
          label="Layer"
          description="Experiments that must not meet share a layer."
          placeholder="A layer of its own"
          searchable
          clearable
          clearButtonProps={{ "aria-label": "Clear layer" }}
          nothingFoundMessage="No such layer"
          data={layers.data?.map(({ name }) => name) ?? []}
          data-testid="field-layer"
          {...form.getInputProps("layer")}
          value={form.values.layer === "" ? null : form.values.layer}
          onChange={(value: string | null) => form.setFieldValue("layer", value ?? "")}
        />
        <NumberInput
          label="Traffic"
          description="Share of the layer's units that take part."
          suffix=" %"
          min={0}
          max={100}
          decimalScale={2}
          data-testid="field-traffic"
          {...form.getInputProps("traffic")}
        />
      </SimpleGrid>
      <div>
        <Text size="sm" fw={500} id="targeting-label" mb={4}>
          Targeting
        </Text>
        <SegmentedControl
          aria-labelledby="targeting-label"
          data={MODES}
          value={targeting.mode}
          onChange={(mode) => form.setFieldValue("targeting.mode", mode as TargetingMode)}
          data-testid="targeting-mode"
        />
        <FieldError message={form.errors["targeting.mode"]} testId="error-targeting" />
      </div>
      {targeting.mode === "builder" && <Builder form={form} />}
      {targeting.mode === "json" && (
        <JsonInput
          label="Condition"
          description={
            'all, any and not over {"attribute", "op", "values"} and {"segment"}; or the short form {"countries", "platforms", "user_segment"}.'
          }
          autosize
          minRows={5}
          maxRows={24}
          classNames={{ input: "mono" }}
          data-testid="field-targeting-json"
          {...form.getInputProps("targeting.json")}
        />
      )}
      <details>
        <summary>Unit, flag key, stickiness</summary>
        <SimpleGrid cols={{ base: 1, sm: 2 }} mt="sm" verticalSpacing="md">
          <TextInput
            label="Unit"
            description="What is randomised: the name of the id that clients send."
            placeholder="user_id"
            data-testid="field-unit"
            {...form.getInputProps("unit")}
          />
          <TextInput
            label="Flag key"
            description="Under which clients ask for it; its own name when empty."
            data-testid="field-flag"
            {...form.getInputProps("flag")}
          />
          <Checkbox
            label="Sticky"
            description="A unit keeps the variant that it was given before, even when targeting or weights change."
            data-testid="field-sticky"
            {...form.getInputProps("sticky", { type: "checkbox" })}
          />
        </SimpleGrid>
      </details>
    </FormSection>
  );
}

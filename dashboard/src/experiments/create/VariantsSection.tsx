import { ActionIcon, Button, Group, JsonInput, NumberInput, Stack, Text, TextInput } from "@mantine/core";
import { Icon } from "../../components/Icon";
import { Tag } from "../../components/Tag";
import { variantColor } from "../../components/variantColor";
import { evenWeights, totalWeight } from "../../lib/buckets";
import { FieldError } from "./FieldError";
import type { DraftForm } from "./form";
import { FormSection } from "./FormSection";
import { rowKey } from "./draft";

/** The weights as one bar, each variant in its colour. */
function WeightBar({ weights }: { weights: { key: string; weight: number }[] }) {
  return (
    <div
      aria-hidden="true"
      style={{
        display: "flex",
        gap: 2,
        height: 10,
        borderRadius: 5,
        overflow: "hidden",
        background: "var(--calm-ground)",
      }}
    >
      {weights.map(({ key, weight }, index) => (
        <div key={key} style={{ width: `${weight}%`, background: variantColor(index) }} />
      ))}
    </div>
  );
}

/** What is compared, how units are split between it, and what each variant answers. */
export function VariantsSection({ form }: { form: DraftForm }) {
  const { variants } = form.values;
  const weights = variants.map(({ key, weight }) => ({ key, weight: weight === "" ? 0 : weight }));
  const total = totalWeight(weights.map(({ weight }) => weight));

  function add() {
    form.insertListItem("variants", {
      key: rowKey(),
      name: `treatment_${variants.length}`,
      weight: 0,
      config: "",
    });
  }

  function splitEvenly() {
    evenWeights(variants.length).forEach((weight, index) => {
      form.setFieldValue(`variants.${index}.weight`, weight);
    });
  }

  return (
    <FormSection
      title="Variants"
      lead="The first variant is the control: the others are compared with it, and units outside the experiment get its payload."
    >
      {variants.map((variant, index) => (
        <div
          key={variant.key}
          data-testid={`variant-${index}`}
          role="group"
          aria-label={`Variant ${index + 1}`}
        >
          <Group align="flex-start" wrap="nowrap" gap="sm">
            <div
              aria-hidden="true"
              style={{ width: 4, alignSelf: "stretch", borderRadius: 2, background: variantColor(index) }}
            />
            <Stack gap="xs" style={{ flex: 1 }}>
              <Group align="flex-start" gap="sm">
                <TextInput
                  label={index === 0 ? "Control" : "Name"}
                  style={{ flex: "1 1 200px" }}
                  data-testid={`variant-${index}-name`}
                  {...form.getInputProps(`variants.${index}.name`)}
                />
                <NumberInput
                  label="Weight"
                  suffix=" %"
                  min={0}
                  max={100}
                  decimalScale={2}
                  w={120}
                  hideControls
                  data-testid={`variant-${index}-weight`}
                  {...form.getInputProps(`variants.${index}.weight`)}
                />
              </Group>
              <JsonInput
                label="Payload"
                description="Any JSON; what clients are answered. Empty means null."
                placeholder='{"checkout_version": "v2_single_page"}'
                autosize
                minRows={1}
                maxRows={14}
                classNames={{ input: "mono" }}
                data-testid={`variant-${index}-config`}
                {...form.getInputProps(`variants.${index}.config`)}
              />
            </Stack>
            {variants.length > 2 && index > 0 ? (
              <ActionIcon
                variant="subtle"
                color="red.9"
                mt={26}
                aria-label={`Remove ${variant.name === "" ? `variant ${index + 1}` : variant.name}`}
                onClick={() => form.removeListItem("variants", index)}
                data-testid={`variant-${index}-remove`}
              >
                <Icon name="cross" />
              </ActionIcon>
            ) : (
              <span style={{ width: 28 }} />
            )}
          </Group>
        </div>
      ))}
      <WeightBar weights={weights} />
      <Group justify="space-between">
        <Group gap="xs">
          <Button
            variant="default"
            size="xs"
            leftSection={<Icon name="plus" />}
            onClick={add}
            data-testid="add-variant"
          >
            Add variant
          </Button>
          <Button variant="default" size="xs" onClick={splitEvenly} data-testid="split-evenly">
            Split evenly
          </Button>
        </Group>
        <Group gap="xs">
          <Text size="sm">Weights sum to {total} %</Text>
          {total === 100 ? (
            <Tag tone="good" icon="check">
              complete
            </Tag>
          ) : (
            <Tag tone="warn" icon="warn">
              must be 100 %
            </Tag>
          )}
        </Group>
      </Group>
      <FieldError message={form.errors["variants"]} testId="error-variants" />
    </FormSection>
  );
}

import { Button, Code, Group, List, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState, type SubmitEvent } from "react";
import { createExperiment } from "../../api/experiments";
import { asProblem, type Problem } from "../../api/problem";
import { Notice } from "../../components/Notice";
import { notify } from "../../components/notify";
import { PageHead } from "../../components/PageHead";
import { sortErrors, type FieldError } from "../../lib/pointer";
import { AudienceSection } from "./AudienceSection";
import { emptyDraft, formPath, toRequest } from "./draft";
import { FormSection } from "./FormSection";
import { MetricsSection } from "./MetricsSection";
import { PlanSection } from "./PlanSection";
import { VariantsSection } from "./VariantsSection";

/** What the server said that no field shows. */
interface Refusal {
  problem: Problem | null;
  unmatched: FieldError[];
  fieldCount: number;
}

function RefusalAlert({ refusal }: { refusal: Refusal }) {
  const { problem, unmatched, fieldCount } = refusal;
  return (
    <Notice tone="bad" urgent title="The experiment was not created" testId="form-errors">
      <Text size="sm">
        {fieldCount > 0
          ? `${fieldCount} ${fieldCount === 1 ? "field needs" : "fields need"} another look; each says below what is wrong.`
          : (problem?.detail ?? "")}
      </Text>
      {unmatched.length > 0 && (
        <List size="sm" mt="xs">
          {unmatched.map((error, index) => (
            <List.Item key={index}>
              {error.pointer !== "" && <code>{error.pointer}</code>} {error.detail}
            </List.Item>
          ))}
        </List>
      )}
    </Notice>
  );
}

/** Puts the focus on the first field that has an error, where a screen reader reads it out. */
function focusFirstError(form: HTMLFormElement | null) {
  const field = form?.querySelector<HTMLElement>('[aria-invalid="true"], [data-field-error]');
  // Inputs that hold several values mark their frame; what can be typed in lies inside it.
  const focusable = field?.matches("input, textarea, [tabindex]") ? field : field?.querySelector("input");
  (focusable ?? form)?.focus();
  field?.scrollIntoView({ block: "center" });
}

/** Defines an experiment. It stays a draft until it is started. */
export function CreateExperimentPage() {
  const form = useForm({ initialValues: emptyDraft() });
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const formElement = useRef<HTMLFormElement>(null);
  const navigate = useNavigate();
  const client = useQueryClient();

  const create = useMutation({
    mutationFn: createExperiment,
    onSuccess: async (experiment) => {
      await client.invalidateQueries({ queryKey: ["experiments"] });
      notify(`${experiment.name} is a draft now. Start it when it is ready.`);
      await navigate({ to: "/experiments/$id", params: { id: experiment.id } });
    },
    onError: (error) => {
      const problem = asProblem(error);
      const sorted = sortErrors(problem.errors, (tokens) => formPath(tokens, form.values));
      form.setErrors(sorted.fields);
      setRefusal({ problem, unmatched: sorted.unmatched, fieldCount: Object.keys(sorted.fields).length });
    },
  });

  // Every refusal is a new object, shown together with the fields' messages.
  useEffect(() => {
    if (refusal !== null) focusFirstError(formElement.current);
  }, [refusal]);

  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const { body, errors } = toRequest(form.values);
    const count = Object.keys(errors).length;
    form.setErrors(errors);
    setRefusal(count === 0 ? null : { problem: null, unmatched: [], fieldCount: count });
    if (count === 0) create.mutate(body);
  }

  return (
    <>
      <PageHead
        title="New experiment"
        lead="It is created as a draft: nobody sees it until it is started, and until then everything can be changed."
      />
      <form ref={formElement} onSubmit={submit} noValidate tabIndex={-1} style={{ outline: "none" }}>
        <Stack gap="lg" maw={920}>
          {refusal !== null && <RefusalAlert refusal={refusal} />}
          <FormSection title="Idea" lead="What is tried, and what is expected to happen.">
            <TextInput
              label="Name"
              description="Events, reports and code call the experiment by it. Fixed once it has started."
              placeholder="checkout_redesign_q1_2025"
              required
              data-testid="field-name"
              {...form.getInputProps("name")}
            />
            <Textarea
              label="Hypothesis"
              description="What changes for whom, which metric moves, and why."
              placeholder="New checkout reduces cart abandonment by 5%"
              autosize
              minRows={2}
              data-testid="field-hypothesis"
              {...form.getInputProps("hypothesis")}
            />
          </FormSection>
          <VariantsSection form={form} />
          <AudienceSection form={form} />
          <MetricsSection form={form} />
          <PlanSection form={form} />
          <details>
            <summary>The request that this form sends</summary>
            <Code block mt="xs" data-testid="request">
              {JSON.stringify(toRequest(form.values).body, null, 2)}
            </Code>
          </details>
          <Group>
            <Button type="submit" loading={create.isPending} data-testid="create">
              Create draft
            </Button>
            <Button variant="default" onClick={() => void navigate({ to: "/experiments" })}>
              Cancel
            </Button>
          </Group>
        </Stack>
      </form>
    </>
  );
}

import { Button, Checkbox, Group, Select, Stack, Text } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { moveExperiment, type Move } from "../../api/experiments";
import { asProblem } from "../../api/problem";
import type { Experiment, Warning } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { notify } from "../../components/notify";
import { Notice } from "../../components/Notice";
import { ProblemAlert } from "../../components/ProblemAlert";
import { consequence, controlName, stepsFrom, type Step } from "./lifecycle";

interface AcknowledgeProps {
  warnings: readonly Warning[];
  accepted: readonly string[];
  onChange: (codes: string[]) => void;
}

/** What speaks against starting, each to be accepted by its own tick. */
function Acknowledge({ warnings, accepted, onChange }: AcknowledgeProps) {
  return (
    <Notice tone="warn" urgent title="The plan has weaknesses" testId="start-warnings">
      <Text size="sm" mb="xs">
        It can be started all the same, if you accept each of them:
      </Text>
      <Checkbox.Group value={[...accepted]} onChange={onChange} aria-label="Accepted weaknesses">
        <Stack gap="xs">
          {warnings.map(({ code, detail }) => (
            <Checkbox
              key={code}
              value={code}
              label={<span className="mono">{code}</span>}
              description={detail}
              data-testid={`acknowledge-${code}`}
            />
          ))}
        </Stack>
      </Checkbox.Group>
    </Notice>
  );
}

/** The steps that are open, each behind a confirmation that says what follows. */
export function Actions({ experiment, etag }: { experiment: Experiment; etag: string | undefined }) {
  const [asking, setAsking] = useState<Step | null>(null);
  const [accepted, setAccepted] = useState<string[]>([]);
  const control = controlName(experiment);
  const [shipped, setShipped] = useState(control);
  const client = useQueryClient();
  const navigate = useNavigate();

  function moveOf({ action }: Step): Move {
    if (action === "start") return { action, acknowledge: accepted };
    if (action === "complete") return { action, ship: shipped === control ? null : shipped };
    return { action };
  }

  const move = useMutation({
    mutationFn: (step: Step) => moveExperiment(experiment.id, moveOf(step), etag),
    onSuccess: async (_, step) => {
      setAsking(null);
      notify(`${experiment.name} ${step.done}.`);
      await Promise.all([
        client.invalidateQueries({ queryKey: ["experiment", experiment.id] }),
        client.invalidateQueries({ queryKey: ["experiments"] }),
        client.invalidateQueries({ queryKey: ["results", experiment.id] }),
      ]);
      if (step.action === "start") {
        await navigate({ to: "/experiments/$id/results", params: { id: experiment.id } });
      }
    },
    onError: (error) => {
      // Someone else was faster: show what they have made of it, so that the next try is an informed one.
      if (asProblem(error).status === 412) {
        void client.invalidateQueries({ queryKey: ["experiment", experiment.id] });
      }
    },
  });

  const problem = move.error === null ? null : asProblem(move.error);
  const warnings = problem?.warnings ?? [];
  const unaccepted = warnings.some(({ code }) => !accepted.includes(code));

  function ask(step: Step) {
    move.reset();
    setAccepted([]);
    setShipped(control);
    setAsking(step);
  }

  return (
    <Group gap="xs">
      {stepsFrom(experiment.status).map((step, index) => (
        <Button
          key={step.action}
          variant={index === 0 && !step.danger ? "filled" : "default"}
          onClick={() => ask(step)}
          data-testid={`action-${step.action}`}
        >
          {step.word}
        </Button>
      ))}
      <Confirm
        opened={asking !== null}
        title={asking === null ? "" : `${asking.word} ${experiment.name}?`}
        action={asking?.word ?? ""}
        danger={asking?.danger ?? false}
        busy={move.isPending}
        disabled={unaccepted}
        onConfirm={() => asking !== null && move.mutate(asking)}
        onCancel={() => setAsking(null)}
      >
        {asking !== null && <Text size="sm">{consequence(asking.action, experiment, shipped)}</Text>}
        {asking?.action === "complete" && (
          <Select
            label="From now on everyone gets"
            data={experiment.variants.map(({ name }) => name)}
            value={shipped}
            onChange={(name) => setShipped(name ?? control)}
            allowDeselect={false}
            data-testid="ship"
          />
        )}
        {warnings.length > 0 && (
          <Acknowledge warnings={warnings} accepted={accepted} onChange={setAccepted} />
        )}
        {problem !== null && warnings.length === 0 && (
          <ProblemAlert
            error={problem}
            what={problem.status === 412 ? "It has changed meanwhile" : "This was refused"}
          />
        )}
      </Confirm>
    </Group>
  );
}

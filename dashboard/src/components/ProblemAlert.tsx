import { Button, Group, List, Text } from "@mantine/core";
import { asProblem } from "../api/problem";
import { Notice } from "./Notice";

interface ProblemAlertProps {
  error: unknown;
  /** What the reader was about to see or do: "Could not load the experiments". */
  what: string;
  onRetry?: () => void;
}

/** A failure, with everything the server said about it. */
export function ProblemAlert({ error, what, onRetry }: ProblemAlertProps) {
  const problem = asProblem(error);
  return (
    <Notice tone="bad" title={what} urgent testId="problem">
      <Text size="sm">{problem.detail}</Text>
      {problem.errors.length > 0 && (
        <List size="sm" mt="xs">
          {problem.errors.map((field, index) => (
            <List.Item key={index}>
              {field.pointer !== "" && <code>{field.pointer}</code>} {field.detail}
            </List.Item>
          ))}
        </List>
      )}
      <Group mt="sm" gap="md">
        {onRetry !== undefined && (
          <Button size="xs" variant="default" onClick={onRetry}>
            Try again
          </Button>
        )}
        <Text size="xs" c="dimmed">
          {problem.code}
          {problem.requestId !== undefined && ` · request ${problem.requestId}`}
        </Text>
      </Group>
    </Notice>
  );
}

import { Group, Text, Title } from "@mantine/core";
import { useEffect, type ReactNode } from "react";

interface PageHeadProps {
  title: string;
  /** What stands behind the title in the browser's tab; the title itself by default. */
  tab?: string;
  lead?: ReactNode;
  actions?: ReactNode;
}

/** The title of a page, its purpose in a sentence, and what can be done on it. */
export function PageHead({ title, tab = title, lead, actions }: PageHeadProps) {
  useEffect(() => {
    document.title = `${tab} · Sortition`;
  }, [tab]);
  return (
    <Group justify="space-between" align="flex-start" mb="lg" wrap="wrap">
      <div>
        <Title order={1} size="h2">
          {title}
        </Title>
        {lead !== undefined && (
          <Text c="dimmed" size="sm" mt={4} maw={720}>
            {lead}
          </Text>
        )}
      </div>
      <Group gap="sm">{actions}</Group>
    </Group>
  );
}

import { Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";

/** What to say, and to do, where there is nothing yet. */
export function Empty({
  title,
  children,
  action,
}: {
  title: string;
  children: ReactNode;
  action?: ReactNode;
}) {
  return (
    <Stack align="center" gap="xs" py={48} data-testid="empty">
      <Text fw={600}>{title}</Text>
      <Text c="dimmed" size="sm" ta="center" maw={460}>
        {children}
      </Text>
      {action}
    </Stack>
  );
}

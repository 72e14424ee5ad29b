import { Stack, Text, Title } from "@mantine/core";
import { useId, type ReactNode } from "react";

/** One step of the form: a card with a title. */
export function FormSection({
  title,
  lead,
  children,
}: {
  title: string;
  lead: ReactNode;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <section className="card" aria-labelledby={id}>
      <Title order={2} size="h4" id={id}>
        {title}
      </Title>
      <Text size="sm" c="dimmed" mb="md">
        {lead}
      </Text>
      <Stack gap="md">{children}</Stack>
    </section>
  );
}

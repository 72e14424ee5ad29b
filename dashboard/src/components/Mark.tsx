import { Group, Text } from "@mantine/core";

/** The name and sign of the product; only the sign on small screens where `narrow`. */
export function Mark({ narrow }: { narrow?: boolean }) {
  return (
    <Group gap={9} wrap="nowrap">
      <img src="/favicon.svg" width={26} height={26} alt="" />
      <Text fw={700} size="lg" component="span" {...(narrow === true ? { visibleFrom: "sm" } : {})}>
        Sortition
      </Text>
    </Group>
  );
}

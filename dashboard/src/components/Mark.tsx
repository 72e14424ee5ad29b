import { Group, Text } from "@mantine/core";

/** The name and sign of the product. */
export function Mark() {
  return (
    <Group gap={9} wrap="nowrap">
      <img src="/favicon.svg" width={26} height={26} alt="" />
      <Text fw={700} size="lg" component="span">
        Sortition
      </Text>
    </Group>
  );
}

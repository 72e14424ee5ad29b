import { Skeleton, Stack } from "@mantine/core";

/** Grey bars where rows will stand. */
export function Loading({ what, rows = 6 }: { what: string; rows?: number }) {
  return (
    <Stack gap="sm" role="status" aria-label={`Loading ${what}`} data-testid="loading">
      {Array.from({ length: rows }, (_, index) => (
        <Skeleton key={index} height={34} radius="sm" />
      ))}
    </Stack>
  );
}

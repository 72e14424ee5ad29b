import { Table, Text } from "@mantine/core";
import { listSegments } from "../api/catalogue";
import { CataloguePage } from "../components/CataloguePage";
import { formatCount } from "../lib/format";
import { describeCondition } from "../lib/condition";

/** Named audiences that targeting may refer to. */
export function SegmentsPage() {
  return (
    <CataloguePage
      title="Segments"
      lead="Named audiences: a condition, plus units that are always or never in them."
      queryKey="segments"
      load={listSegments}
      empty="Create them with POST /api/v1/segments, and refer to them in targeting."
    >
      {(segments) => (
        <Table verticalSpacing="sm" data-testid="segments">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Key</Table.Th>
              <Table.Th>Condition</Table.Th>
              <Table.Th className="numeric">Always in</Table.Th>
              <Table.Th className="numeric">Never in</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {segments.map((segment) => (
              <Table.Tr key={segment.key}>
                <Table.Td fw={600}>{segment.key}</Table.Td>
                <Table.Td>
                  <Text size="sm">
                    {segment.condition ? describeCondition(segment.condition) : "only the listed units"}
                  </Text>
                </Table.Td>
                <Table.Td className="numeric">{formatCount(segment.include?.length ?? 0)}</Table.Td>
                <Table.Td className="numeric">{formatCount(segment.exclude?.length ?? 0)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </CataloguePage>
  );
}

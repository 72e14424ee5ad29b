import { Table, Text } from "@mantine/core";
import { listLayers } from "../api/catalogue";
import { CataloguePage } from "../components/CataloguePage";

/** Sets of experiments that share buckets, so that a unit is in at most one of each set. */
export function LayersPage() {
  return (
    <CataloguePage
      title="Layers"
      lead="Sets of experiments that share 10 000 buckets, so that a unit is in at most one experiment of each layer."
      queryKey="layers"
      load={listLayers}
      empty="Create them with POST /api/v1/layers. An experiment that names no layer gets one of its own."
    >
      {(layers) => (
        <Table verticalSpacing="sm" data-testid="layers">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Name</Table.Th>
              <Table.Th>Unit</Table.Th>
              <Table.Th>Domain</Table.Th>
              <Table.Th>Salt</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {layers.map((layer) => (
              <Table.Tr key={layer.name}>
                <Table.Td>
                  <Text size="sm" fw={600}>
                    {layer.name}
                  </Text>
                  {layer.description && (
                    <Text size="xs" c="dimmed">
                      {layer.description}
                    </Text>
                  )}
                </Table.Td>
                <Table.Td>{layer.unit ?? "user_id"}</Table.Td>
                <Table.Td>
                  {layer.domain_start ?? 0} to {layer.domain_end ?? 9999}
                </Table.Td>
                <Table.Td className="mono">{layer.salt}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </CataloguePage>
  );
}

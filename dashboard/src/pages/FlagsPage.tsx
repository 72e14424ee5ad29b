import { Switch, Table, Text } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { enableFlag, killFlag, listFlags } from "../api/catalogue";
import { asProblem } from "../api/problem";
import type { Flag } from "../api/types";
import { CataloguePage } from "../components/CataloguePage";
import { Confirm } from "../components/Confirm";
import { notify } from "../components/notify";

function FlagSwitch({ flag }: { flag: Flag }) {
  const enabled = flag.enabled ?? true;
  const [asking, setAsking] = useState(false);
  const client = useQueryClient();
  const change = useMutation({
    mutationFn: () => (enabled ? killFlag(flag.key) : enableFlag(flag.key)),
    onSuccess: async () => {
      setAsking(false);
      await client.invalidateQueries({ queryKey: ["flags"] });
      notify(`${flag.key} is ${enabled ? "off" : "on"}.`);
    },
    onError: (error) => {
      notify(asProblem(error).detail, { title: "The flag was not changed" });
    },
  });
  return (
    <>
      <Switch
        checked={enabled}
        onChange={() => setAsking(true)}
        label={enabled ? "On" : "Off"}
        aria-label={`${flag.key} enabled`}
        data-testid={`flag-switch-${flag.key}`}
      />
      <Confirm
        opened={asking}
        title={enabled ? `Switch ${flag.key} off?` : `Switch ${flag.key} on?`}
        action={enabled ? "Switch off" : "Switch on"}
        danger={enabled}
        busy={change.isPending}
        onConfirm={() => change.mutate()}
        onCancel={() => setAsking(false)}
      >
        <Text size="sm">
          {enabled
            ? `Everyone gets the off variant "${flag.off_variant}" as soon as the edges have read the next config. Rules and experiments of this flag stop deciding.`
            : "Its rules decide again as soon as the edges have read the next config."}
        </Text>
      </Confirm>
    </>
  );
}

/** Flags, and their kill switches. */
export function FlagsPage() {
  return (
    <CataloguePage
      title="Flags"
      lead="Values that can change without a deployment. The switch is the kill switch: off serves the off variant to everyone."
      queryKey="flags"
      load={listFlags}
      empty="Create them with POST /api/v1/flags."
    >
      {(flags) => (
        <Table verticalSpacing="sm" data-testid="flags">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Key</Table.Th>
              <Table.Th>Enabled</Table.Th>
              <Table.Th>Type</Table.Th>
              <Table.Th>Variants</Table.Th>
              <Table.Th className="numeric">Rules</Table.Th>
              <Table.Th>Otherwise</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {flags.map((flag) => (
              <Table.Tr key={flag.key} data-testid="flag-row">
                <Table.Td fw={600}>{flag.key}</Table.Td>
                <Table.Td>
                  <FlagSwitch flag={flag} />
                </Table.Td>
                <Table.Td>{flag.type}</Table.Td>
                <Table.Td>{flag.variants.map(({ name }) => name).join(", ")}</Table.Td>
                <Table.Td className="numeric">{flag.rules?.length ?? 0}</Table.Td>
                <Table.Td>{flag.default_variant}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </CataloguePage>
  );
}

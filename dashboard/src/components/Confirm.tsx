import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";

interface ConfirmProps {
  opened: boolean;
  title: string;
  /** The word on the button: what will happen, not "OK". */
  action: string;
  danger?: boolean;
  busy: boolean;
  disabled?: boolean;
  onConfirm: () => void;
  onCancel: () => void;
  /** The consequence. */
  children: ReactNode;
}

/** Asks before something that other people will notice. */
export function Confirm({
  opened,
  title,
  action,
  danger,
  busy,
  disabled,
  onConfirm,
  onCancel,
  children,
}: ConfirmProps) {
  return (
    <Modal
      opened={opened}
      onClose={onCancel}
      title={
        <Text component="span" fw={650}>
          {title}
        </Text>
      }
      centered
      closeButtonProps={{ "aria-label": "Close" }}
      // Mantine's header element would count as a second banner of the page.
      attributes={{ header: { role: "presentation" } }}
    >
      <Stack data-testid="confirm">
        {children}
        <Group justify="flex-end">
          <Button variant="default" onClick={onCancel} data-testid="cancel">
            Cancel
          </Button>
          <Button
            color={danger === true ? "red.9" : "indigo.8"}
            loading={busy}
            disabled={disabled ?? false}
            onClick={onConfirm}
            data-testid="confirm-action"
          >
            {action}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

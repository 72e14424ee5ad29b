import { notifications } from "@mantine/notifications";

/** Says that something was done, or was not, in a note that goes away by itself. */
export function notify(message: string, failed?: { title: string }): void {
  notifications.show({
    message,
    closeButtonProps: { "aria-label": "Close" },
    ...(failed === undefined ? {} : { color: "red", title: failed.title }),
  });
}

import type { ReactNode } from "react";

/** A message about a group of inputs, which has no input of its own to show it. */
export function FieldError({ message, testId }: { message: ReactNode; testId: string }) {
  if (message === undefined || message === null) return null;
  return (
    <p
      className="field-error"
      role="alert"
      data-testid={testId}
      data-field-error
      tabIndex={-1}
      style={{ margin: 0 }}
    >
      {message}
    </p>
  );
}

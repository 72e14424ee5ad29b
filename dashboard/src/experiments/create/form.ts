import type { UseFormReturnType } from "@mantine/form";
import type { Draft } from "./draft";

/** The form as its sections receive it. */
export type DraftForm = UseFormReturnType<Draft>;

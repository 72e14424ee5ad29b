import type { ReactNode } from "react";
import { Icon, type IconName } from "./Icon";

export type Tone = "good" | "bad" | "warn" | "calm" | "info";

interface TagProps {
  tone: Tone;
  icon?: IconName;
  children: ReactNode;
  testId?: string;
}

/** A state in a word, with a sign and a colour that repeat it. */
export function Tag({ tone, icon, children, testId }: TagProps) {
  return (
    <span className="tag" data-tone={tone} data-testid={testId}>
      {icon !== undefined && <Icon name={icon} size={12} />}
      {children}
    </span>
  );
}

import type { ReactNode } from "react";
import { Icon, type IconName } from "./Icon";
import type { Tone } from "./Tag";

const ICONS: Record<Tone, IconName> = {
  good: "check",
  bad: "cross",
  warn: "warn",
  calm: "dash",
  info: "clock",
};

interface NoticeProps {
  tone: Tone;
  title: ReactNode;
  children?: ReactNode;
  /** Read out at once by screen readers. */
  urgent?: boolean;
  testId?: string;
}

/** Something that the reader must know before going on. */
export function Notice({ tone, title, children, urgent, testId }: NoticeProps) {
  return (
    <div
      className="notice"
      data-tone={tone}
      role={urgent === true ? "alert" : undefined}
      data-testid={testId}
    >
      <div className="notice-title">
        <Icon name={ICONS[tone]} size={16} />
        {title}
      </div>
      <div className="notice-body">{children}</div>
    </div>
  );
}

import type { ExperimentStatus } from "../api/types";
import type { IconName } from "./Icon";
import { Tag, type Tone } from "./Tag";

const LOOKS: Record<ExperimentStatus, { tone: Tone; icon: IconName; word: string }> = {
  draft: { tone: "calm", icon: "pencil", word: "Draft" },
  scheduled: { tone: "info", icon: "clock", word: "Scheduled" },
  running: { tone: "good", icon: "play", word: "Running" },
  paused: { tone: "warn", icon: "pause", word: "Paused" },
  completed: { tone: "info", icon: "check", word: "Completed" },
  archived: { tone: "calm", icon: "archive", word: "Archived" },
};

/** Where an experiment stands in its life. */
export function StatusTag({ status }: { status: ExperimentStatus }) {
  const { tone, icon, word } = LOOKS[status];
  return (
    <Tag tone={tone} icon={icon} testId="status">
      {word}
    </Tag>
  );
}

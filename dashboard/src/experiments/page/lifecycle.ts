/** What can be done with an experiment, and what follows from it. */
import type { ExperimentAction } from "../../api/experiments";
import type { Experiment, ExperimentStatus } from "../../api/types";
import { BUCKET_COUNT, bucketsIn } from "../../lib/buckets";
import { formatCount, formatPercent } from "../../lib/format";

export interface Step {
  action: ExperimentAction;
  /** The word on the button. */
  word: string;
  /** What it was done, for the notice afterwards. */
  done: string;
  danger: boolean;
}

const START: Step = { action: "start", word: "Start", done: "has started", danger: false };
const PAUSE: Step = { action: "pause", word: "Pause", done: "is paused", danger: false };
const RESUME: Step = { action: "resume", word: "Resume", done: "runs again", danger: false };
const COMPLETE: Step = { action: "complete", word: "Complete", done: "is completed", danger: true };
const ARCHIVE: Step = { action: "archive", word: "Archive", done: "is archived", danger: true };

const STEPS: Record<ExperimentStatus, readonly Step[]> = {
  draft: [START, ARCHIVE],
  scheduled: [COMPLETE],
  running: [PAUSE, COMPLETE],
  paused: [RESUME, COMPLETE],
  completed: [ARCHIVE],
  archived: [],
};

/** The steps that are open from a status, the likeliest first. */
export function stepsFrom(status: ExperimentStatus): readonly Step[] {
  return STEPS[status];
}

/** Name of the control. */
export function controlName(experiment: Pick<Experiment, "variants">): string {
  const { variants } = experiment;
  return (variants.find(({ is_control }) => is_control) ?? variants[0])?.name ?? "the control";
}

/** What follows from a step, in sentences that the author can check. `shipped` is who wins when it completes. */
export function consequence(action: ExperimentAction, experiment: Experiment, shipped: string): string {
  const control = controlName(experiment);
  switch (action) {
    case "start":
      return `${formatPercent(experiment.traffic / 100)} of the units of ${
        experiment.layer.name ?? "a layer of its own"
      } take part as soon as the edges have read the next config. Name, layer, unit and salt are fixed from then on.`;
    case "pause":
      return experiment.pause_behaviour === "keep_serving"
        ? "Nobody new is enrolled. Everyone keeps the variant that they have. The buckets stay taken."
        : `Everyone gets ${control}, and nobody is enrolled, until it is resumed. The buckets stay taken.`;
    case "resume":
      return "Units are enrolled again, each in the variant that it had before.";
    case "complete": {
      const owned = bucketsIn(experiment.layer.ranges);
      const whoever = shipped === control ? "everyone" : "everyone whom the experiment targets";
      return `The experiment ends for good: ${whoever} gets ${shipped}. Its ${formatCount(owned)} of ${formatCount(
        BUCKET_COUNT,
      )} buckets are free for others. The results become final once late events have arrived (72 hours).`;
    }
    case "archive":
      return experiment.status === "draft"
        ? "The draft is put away. It was never live, so nobody notices."
        : "The edges forget the experiment: clients that still ask for it get their own default. Its results stay readable here.";
  }
}

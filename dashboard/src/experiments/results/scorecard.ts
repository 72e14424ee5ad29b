/** From the API's results to the rows that the scorecard shows. Nothing is decided here: verdicts are the API's. */
import type {
  Experiment,
  Interval,
  MetricKind,
  MetricResult,
  MetricRole,
  Results,
  VariantResult,
  Verdict,
} from "../../api/types";
import { controlName } from "../page/lifecycle";
import type { IconName } from "../../components/Icon";
import type { Tone } from "../../components/Tag";
import { formatInterval, formatPercent, formatPValue, formatValue, NOTHING } from "../../lib/format";
import type { DrawnInterval } from "../../lib/interval";

/** One metric of one treatment, compared with the control. */
export interface Row {
  metric: string;
  kind: MetricKind;
  /** Whether a fall is good. */
  lowerIsBetter: boolean;
  /** False where this version has no right way to compute the metric. */
  computed: boolean;
  control: VariantResult;
  treatment: VariantResult;
  /** The interval that is drawn, of the relative change. */
  drawn: DrawnInterval | null;
  /** Whether the drawn interval holds at every look, or only at the planned end. */
  alwaysValid: boolean;
  /** Guardrails: the relative change at which the loss is no longer accepted. */
  margin: number | null;
  /** Primary metric: the relative change that the plan wants to be able to see. */
  mde: number | null;
}

/** The rows of one role. */
export interface Group {
  role: MetricRole;
  title: string;
  note: string;
  metrics: { metric: string; kind: MetricKind; lowerIsBetter: boolean; rows: Row[] }[];
}

const GROUPS: readonly { role: MetricRole; title: string; note: string }[] = [
  { role: "primary", title: "Primary", note: "decides" },
  { role: "guardrail", title: "Guardrails", note: "must not get worse" },
  { role: "secondary", title: "Secondary", note: "exploratory: never decides" },
];

function drawn(point: number | null | undefined, interval: Interval | undefined): DrawnInterval | null {
  const [lo, hi] = interval ?? [];
  if (typeof point !== "number" || typeof lo !== "number" || typeof hi !== "number") return null;
  return { lo, point, hi };
}

/** The relative change at which a guardrail's loss is no longer accepted. */
function marginOf(result: MetricResult, lowerIsBetter: boolean): number | null {
  const margin = result.max_degradation;
  if (result.role !== "guardrail" || typeof margin !== "number" || result.margin_type === "absolute")
    return null;
  return lowerIsBetter ? margin : -margin;
}

function rowsOf(
  result: MetricResult,
  lowerIsBetter: boolean,
  control: string | undefined,
  mde: number | null,
): Row[] {
  const baseline = result.variants.find(({ variant }) => variant === control) ?? result.variants[0];
  if (baseline === undefined) return [];
  const margin = marginOf(result, lowerIsBetter);
  return result.variants
    .filter((variant) => variant !== baseline)
    .map((treatment) => {
      const early = (treatment.verdict ?? "collecting") === "collecting";
      const sequential = early ? drawn(treatment.lift, treatment.sequential?.lift_ci) : null;
      return {
        metric: result.metric,
        kind: result.kind,
        lowerIsBetter,
        computed: result.status !== "not_computed",
        control: baseline,
        treatment,
        drawn: sequential ?? drawn(treatment.lift, treatment.lift_ci),
        alwaysValid: sequential !== null,
        margin,
        mde: result.role === "primary" ? mde : null,
      };
    });
}

/** The scorecard's groups, empty ones left out. */
export function scorecard(results: Results, experiment: Pick<Experiment, "variants"> | undefined): Group[] {
  const control = experiment === undefined ? undefined : controlName(experiment);
  const { planned } = results;
  const mde = planned?.mde_type === "absolute" ? null : (planned?.min_detectable_effect ?? null);
  return GROUPS.map((group) => ({
    ...group,
    metrics: results.metrics
      .filter(({ role }) => role === group.role)
      .map((result) => {
        const lowerIsBetter = result.direction === "decrease";
        const { metric, kind } = result;
        return { metric, kind, lowerIsBetter, rows: rowsOf(result, lowerIsBetter, control, mde) };
      }),
  })).filter(({ metrics }) => metrics.length > 0);
}

/** A verdict as it is shown: word, sign and colour say the same. */
export interface VerdictLook {
  word: string;
  tone: Tone;
  icon: IconName;
}

/** The API's verdict in words, with the direction of what was found. */
export function verdictLook(row: Row): VerdictLook {
  const { treatment } = row;
  const fixed: Verdict = treatment.verdict ?? "collecting";
  const early = fixed === "collecting" && treatment.sequential?.verdict === "significant";
  if (fixed === "significant" || early) {
    const rose = (treatment.effect ?? 0) > 0;
    const better = rose !== row.lowerIsBetter;
    return {
      word: `${early ? "Significant early" : "Significant"}, ${better ? "better" : "worse"}`,
      tone: better ? "good" : "bad",
      icon: rose ? "up" : "down",
    };
  }
  if (fixed === "not_significant") return { word: "Not significant", tone: "calm", icon: "dash" };
  if (fixed === "underpowered") return { word: "Underpowered", tone: "warn", icon: "warn" };
  return { word: "Collecting", tone: "info", icon: "clock" };
}

/** A value of the metric: shares in percent, everything else as it is. */
export function formatMetricValue(kind: MetricKind, value: number | null | undefined): string {
  return kind === "proportion" ? formatPercent(value) : formatValue(value);
}

/** A difference of two values: of shares in percentage points. */
export function formatDifference(kind: MetricKind, value: number | null | undefined): string {
  if (kind !== "proportion") return formatValue(value, true);
  const percent = formatPercent(value, true);
  return percent === NOTHING ? NOTHING : percent.replace("%", "pp");
}

/** The confidence level in percent: "95 %". */
export function confidence(alpha: number | undefined): string {
  return formatPercent(1 - (alpha ?? 0.05));
}

const UNDEFINED: Readonly<Record<string, string>> = {
  too_few_units: "too few units for an interval yet",
  zero_variance: "no interval: every unit has the same value",
};

/** Why a row has no interval of the relative change. */
export function whyNoInterval({ computed, treatment }: Row): string {
  if (!computed) return "this kind of metric is not computed yet";
  const word = treatment.undefined;
  if (word) return UNDEFINED[word] ?? word.replaceAll("_", " ");
  if (typeof treatment.effect === "number") return "not defined: the control's value may be zero";
  return "nothing to compare yet";
}

/** One row as a sentence, for readers who do not see the drawing. */
export function describeRow(row: Row, alpha: number | undefined): string {
  const { treatment, drawn: shown } = row;
  const name = `${row.metric} of ${treatment.variant}`;
  const verdict = verdictLook(row).word.toLowerCase();
  if (shown !== null) {
    const interval = formatInterval([shown.lo, shown.hi], formatPercent);
    const which = row.alwaysValid ? "always-valid interval" : "interval";
    return `${name}: ${formatPercent(shown.point, true)}, ${confidence(alpha)} ${which} ${interval}, ${verdict}.`;
  }
  if (typeof treatment.effect !== "number") return `${name}: ${whyNoInterval(row)}.`;
  const difference = formatDifference(row.kind, treatment.effect);
  if (!treatment.ci) return `${name}: ${difference}, ${whyNoInterval(row)}.`;
  const interval = formatInterval(treatment.ci, (value) => formatDifference(row.kind, value));
  return `${name}: ${difference}, ${confidence(alpha)} interval ${interval}, ${verdict}. The relative change is not defined.`;
}

/** The p-value that may be read, or why there is none yet. */
export function formatShownPValue(treatment: VariantResult): string {
  if (typeof treatment.p_value === "number") return formatPValue(treatment.p_value);
  return treatment.verdict === "collecting" ? "at the horizon" : NOTHING;
}

/** What the creation form edits, the request that it becomes, and which of its fields edits what the server names. */
import type { Condition, ShortTargeting } from "../../api/types";
import { evenWeights } from "../../lib/buckets";
import { parseLiterals, type Operator } from "../../lib/condition";

export interface DraftVariant {
  /** Identity of the row; never sent. */
  key: string;
  name: string;
  weight: number | "";
  /** The payload as typed: JSON, or nothing. */
  config: string;
}

export interface DraftComparison {
  key: string;
  attribute: string;
  op: Operator;
  /** Separated by commas. */
  values: string;
}

export interface DraftGuardrail {
  metric: string;
  /** The loss that is still tolerated, in percent; empty leaves the server's default. */
  maxDegradation: number | "";
}

export type TargetingMode = "everyone" | "builder" | "json";

export interface Draft {
  name: string;
  hypothesis: string;
  layer: string;
  unit: string;
  flag: string;
  sticky: boolean;
  traffic: number | "";
  variants: DraftVariant[];
  targeting: {
    mode: TargetingMode;
    countries: string[];
    platforms: string[];
    segment: string;
    comparisons: DraftComparison[];
    json: string;
  };
  primaryMetric: string;
  guardrails: DraftGuardrail[];
  secondaryMetrics: string[];
  /** Percent. */
  mde: number | "";
  alpha: number | "";
  power: number | "";
  durationDays: number | "";
  /** Eligible units that are expected on a day; the server judges by it whether the plan has enough power. */
  dailyUnits: number | "";
}

let rows = 0;

/** A new identity for a row. */
export function rowKey(): string {
  rows += 1;
  return `row-${rows}`;
}

export function emptyDraft(): Draft {
  const [control, treatment] = evenWeights(2);
  return {
    name: "",
    hypothesis: "",
    layer: "",
    unit: "",
    flag: "",
    sticky: false,
    traffic: 100,
    variants: [
      { key: rowKey(), name: "control", weight: control ?? 50, config: "" },
      { key: rowKey(), name: "treatment", weight: treatment ?? 50, config: "" },
    ],
    targeting: {
      mode: "everyone",
      countries: [],
      platforms: [],
      segment: "",
      comparisons: [],
      json: '{\n  "attribute": "country",\n  "op": "in",\n  "values": ["US", "CA"]\n}',
    },
    primaryMetric: "",
    guardrails: [],
    secondaryMetrics: [],
    mde: 2,
    alpha: 0.05,
    power: 0.8,
    durationDays: 14,
    dailyUnits: "",
  };
}

interface Part {
  /** The form field that edits this part of the condition. */
  path: string;
  condition: Condition;
}

/** The builder's rows as the parts of one `all`. */
function builderParts({ targeting }: Draft): Part[] {
  const parts: Part[] = [];
  if (targeting.countries.length > 0) {
    parts.push({
      path: "targeting.countries",
      condition: { attribute: "country", op: "in", values: targeting.countries },
    });
  }
  if (targeting.platforms.length > 0) {
    parts.push({
      path: "targeting.platforms",
      condition: { attribute: "platform", op: "in", values: targeting.platforms },
    });
  }
  if (targeting.segment !== "") {
    parts.push({ path: "targeting.segment", condition: { segment: targeting.segment } });
  }
  targeting.comparisons.forEach((comparison, index) => {
    parts.push({
      path: `targeting.comparisons.${index}`,
      condition: {
        attribute: comparison.attribute,
        op: comparison.op,
        ...(comparison.op === "exists" ? {} : { values: parseLiterals(comparison.values) }),
      },
    });
  });
  return parts;
}

/** The short form where it says everything, else the condition. */
function builderTargeting(draft: Draft): Condition | ShortTargeting | undefined {
  const { targeting } = draft;
  if (targeting.comparisons.length > 0) return { all: builderParts(draft).map(({ condition }) => condition) };
  const short: ShortTargeting = {
    ...(targeting.countries.length > 0 ? { countries: targeting.countries } : {}),
    ...(targeting.platforms.length > 0 ? { platforms: targeting.platforms } : {}),
    ...(targeting.segment !== "" ? { user_segment: targeting.segment } : {}),
  };
  return Object.keys(short).length > 0 ? short : undefined;
}

/** A request ready to be sent, or the fields whose text is no JSON. */
export interface Request {
  body: Record<string, unknown>;
  errors: Record<string, string>;
}

function parseJson(text: string, path: string, errors: Record<string, string>): unknown {
  if (text.trim() === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    errors[path] = `This is not JSON: ${error instanceof Error ? error.message : String(error)}`;
    return undefined;
  }
}

/** Leaves out what was left empty, so that the server's defaults hold and its messages stay its own. */
function present(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== ""),
  );
}

/** Everything but JSON is left to the server to judge. */
export function toRequest(draft: Draft): Request {
  const errors: Record<string, string> = {};
  const variants = draft.variants.map((variant, index) => ({
    name: variant.name,
    ...present({
      weight: variant.weight,
      config: parseJson(variant.config, `variants.${index}.config`, errors),
    }),
  }));
  let targeting: unknown;
  if (draft.targeting.mode === "builder") targeting = builderTargeting(draft);
  if (draft.targeting.mode === "json") targeting = parseJson(draft.targeting.json, "targeting.json", errors);
  const body = {
    name: draft.name,
    ...present({
      hypothesis: draft.hypothesis,
      layer: draft.layer,
      unit: draft.unit,
      flag: draft.flag,
      sticky: draft.sticky || undefined,
      traffic: draft.traffic,
    }),
    variants,
    ...present({
      targeting,
      primary_metric: draft.primaryMetric,
      guardrail_metrics:
        draft.guardrails.length === 0
          ? undefined
          : draft.guardrails.map(({ metric, maxDegradation }) =>
              maxDegradation === ""
                ? metric
                : { metric, max_degradation: maxDegradation / 100, margin_type: "relative" },
            ),
      secondary_metrics: draft.secondaryMetrics.length === 0 ? undefined : draft.secondaryMetrics,
      min_detectable_effect: draft.mde === "" ? undefined : Number((draft.mde / 100).toPrecision(12)),
      significance_level: draft.alpha,
      power: draft.power,
      estimated_duration_days: draft.durationDays,
      expected_daily_units: draft.dailyUnits,
    }),
  };
  return { body, errors };
}

const PLAIN: Readonly<Record<string, string>> = {
  name: "name",
  hypothesis: "hypothesis",
  layer: "layer",
  unit: "unit",
  flag: "flag",
  sticky: "sticky",
  traffic: "traffic",
  primary_metric: "primaryMetric",
  secondary_metrics: "secondaryMetrics",
  min_detectable_effect: "mde",
  mde_type: "mde",
  significance_level: "alpha",
  power: "power",
  estimated_duration_days: "durationDays",
  expected_daily_units: "dailyUnits",
};

function variantPath(tokens: readonly string[], draft: Draft): string {
  const [index, field] = tokens;
  if (index === undefined || draft.variants[Number(index)] === undefined) return "variants";
  const known = field === "weight" || field === "config" ? field : "name";
  return `variants.${index}.${known}`;
}

function targetingPath(tokens: readonly string[], draft: Draft): string {
  const { mode } = draft.targeting;
  if (mode === "json") return "targeting.json";
  if (mode === "everyone") return "targeting.mode";
  const [kind, index] = tokens;
  if (kind === "countries") return "targeting.countries";
  if (kind === "platforms") return "targeting.platforms";
  if (kind === "user_segment") return "targeting.segment";
  const part = kind === "all" && index !== undefined ? builderParts(draft)[Number(index)] : undefined;
  return part?.path ?? "targeting.mode";
}

/** The form field that edits what a JSON pointer of the request names; undefined when no field does. */
export function formPath(tokens: readonly string[], draft: Draft): string | undefined {
  const [field, ...rest] = tokens;
  if (field === undefined) return undefined;
  if (field === "variants") return variantPath(rest, draft);
  if (field === "targeting") return targetingPath(rest, draft);
  if (field === "guardrail_metrics") {
    const [index, part] = rest;
    const row =
      index !== undefined &&
      draft.guardrails[Number(index)] !== undefined &&
      part !== undefined &&
      part !== "metric";
    return row ? `guardrails.${index}.maxDegradation` : "guardrails";
  }
  return PLAIN[field];
}

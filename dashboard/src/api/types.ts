/** What the API answers, in the shapes of its OpenAPI document. */
import type { Range } from "../lib/buckets";

/** A list answer: one page and the way to the next. */
export interface Page<T> {
  data: T[];
  next_cursor?: string | null;
}

/** A resource with the version that `If-Match` wants back. */
export interface Versioned<T> {
  data: T;
  etag: string | undefined;
}

export interface Project {
  id?: string;
  name: string;
}

export interface Environment {
  id: string;
  name: string;
}

export type ExperimentStatus = "draft" | "scheduled" | "running" | "paused" | "completed" | "archived";

export interface Variant {
  name: string;
  weight: number;
  config?: unknown;
  is_control?: boolean;
  ranges?: Range[];
}

export interface LayerAllocation {
  name?: string | null;
  salt?: string;
  ranges?: Range[];
}

export interface Guardrail {
  metric: string;
  max_degradation?: number | null;
  margin_type?: "relative" | "absolute" | null;
}

export type Literal = string | number | boolean;

/** A targeting condition. */
export type Condition =
  | { all: Condition[] }
  | { any: Condition[] }
  | { not: Condition }
  | { attribute: string; op: string; values?: Literal[] }
  | { segment: string };

/** The short form of a condition that most experiments need. */
export interface ShortTargeting {
  countries?: string[];
  platforms?: string[];
  user_segment?: string;
}

export interface Experiment {
  id: string;
  name: string;
  status: ExperimentStatus;
  hypothesis?: string | null;
  salt?: string;
  unit?: string;
  flag?: string | null;
  layer?: LayerAllocation | null;
  traffic?: number;
  variants: Variant[];
  targeting?: Condition | ShortTargeting | null;
  primary_metric?: string | null;
  guardrail_metrics?: (string | Guardrail)[];
  secondary_metrics?: string[];
  min_detectable_effect?: number | null;
  mde_type?: "relative" | "absolute" | null;
  significance_level?: number | null;
  power?: number | null;
  estimated_duration_days?: number | null;
  expected_daily_units?: number | null;
  sticky?: boolean;
  pause_behaviour?: "control" | "keep_serving";
  phase?: number;
  version?: number;
  created_at?: string;
  updated_at?: string;
  started_at?: string | null;
  ended_at?: string | null;
  /** Variant that everyone gets since the completion. */
  shipped?: string | null;
}

export type MetricKind = "mean" | "proportion" | "ratio" | "quantile";

export interface Metric {
  id?: string;
  name: string;
  kind: MetricKind;
  event?: string | null;
  direction?: "increase" | "decrease" | null;
  quantile?: number | null;
  numerator?: { event: string; aggregation: string } | null;
  denominator?: { event: string; aggregation: string } | null;
  window?: string | null;
  cap?: unknown;
  description?: string | null;
}

export interface Layer {
  id?: string;
  name: string;
  description?: string | null;
  unit?: string;
  salt?: string;
  domain_start?: number;
  domain_end?: number;
  allocations?: { experiment: string; ranges: Range[] }[];
}

export interface Segment {
  key: string;
  unit?: string;
  condition?: Condition | null;
  include?: string[];
  exclude?: string[];
  description?: string | null;
}

export interface Flag {
  key: string;
  type?: string;
  unit?: string;
  enabled: boolean;
  variants: { name: string; value?: unknown }[];
  default_variant: string;
  off_variant: string;
  rules?: unknown[];
  version?: number;
  updated_at?: string;
}

export type Verdict = "significant" | "not_significant" | "underpowered" | "collecting";
export type MetricRole = "primary" | "secondary" | "guardrail";
export type Interval = [number | null, number | null] | null;

export interface VariantResult {
  variant: string;
  n: number;
  value: number | null;
  std_dev?: number | null;
  method?: string | null;
  /** Why there is no p-value. */
  undefined?: string | null;
  effect?: number | null;
  se?: number | null;
  ci?: Interval;
  lift?: number | null;
  lift_ci?: Interval;
  p_value?: number | null;
  p_adjusted?: number | null;
  ci_adjusted?: Interval;
  verdict?: Verdict | null;
  sequential?: {
    p_value?: number | null;
    ci?: Interval;
    lift_ci?: Interval;
    verdict?: Verdict | null;
  } | null;
}

export interface MetricResult {
  metric: string;
  role: MetricRole;
  kind: MetricKind;
  direction?: "increase" | "decrease" | null;
  max_degradation?: number | null;
  margin_type?: "relative" | "absolute" | null;
  status?: "computed" | "not_computed";
  variants: VariantResult[];
}

/** What was decided before the data. */
export interface Planned {
  min_detectable_effect?: number | null;
  mde_type?: "relative" | "absolute" | null;
  required_units_per_variant?: Record<string, number> | null;
  planned_end_at?: string | null;
  sample_reached?: boolean;
}

export interface SampleRatio {
  statistic?: number | null;
  p_value?: number | null;
  sequential_p_value?: number | null;
  passed?: boolean | null;
  expected?: Record<string, number>;
}

export interface Warning {
  code: string;
  detail: string;
}

export interface Results {
  id?: string;
  experiment: string;
  as_of: string | null;
  status: "collecting" | "ready" | "no_data";
  phase?: number;
  generations?: number[];
  alpha?: number;
  exposures?: Record<string, number>;
  excluded_multiple_variants?: number;
  srm?: SampleRatio | null;
  metrics?: MetricResult[];
  warnings?: Warning[];
  planned?: Planned | null;
}

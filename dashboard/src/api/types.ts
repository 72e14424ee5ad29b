/** What the API answers: the names of its OpenAPI document, and the results, which it leaves open. */
import type { components } from "./schema";

type Schemas = components["schemas"];

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

export type Project = Schemas["Project"];
export type Environment = Schemas["Environment"];
export type Experiment = Schemas["Experiment"];
export type ExperimentDefinition = Schemas["ExperimentDefinition"];
export type ExperimentStatus = Experiment["status"];
export type Guardrail = Schemas["Guardrail"];
export type Condition = Schemas["Condition"];
export type ShortTargeting = Schemas["ShortTargeting"];
export type Targeting = Schemas["Targeting"];
export type Metric = Schemas["Metric"];
export type MetricKind = Metric["kind"];
export type Layer = Schemas["Layer"];
export type Segment = Schemas["Segment"];
export type Flag = Schemas["Flag"];

/** A value that targeting compares with. */
export type Literal = string | number | boolean;

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

/** What the API answers, by the names of its OpenAPI document. */
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
export type Layer = Schemas["Layer"];
export type Segment = Schemas["Segment"];
export type Flag = Schemas["Flag"];

/** A value that targeting compares with. */
export type Literal = string | number | boolean;

export type Results = Schemas["Results"];
export type MetricResult = Schemas["MetricResult"];
/** `mean`, `proportion`, `ratio`, `quantile`, or one that is younger than this dashboard. */
export type MetricKind = MetricResult["kind"];
export type MetricRole = MetricResult["role"];
export type VariantResult = Schemas["VariantResult"];
export type Verdict = NonNullable<VariantResult["verdict"]>;
export type Interval = VariantResult["ci"];
/** A doubt about a plan or about results, with a word that machines know it by. */
export type Warning = Schemas["ResultsWarning"];

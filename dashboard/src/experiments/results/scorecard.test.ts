import { describe, expect, it } from "vitest";
import type { Experiment, MetricResult, Results, VariantResult } from "../../api/types";
import { toCsv } from "./csv";
import {
  describeRow,
  formatDifference,
  formatShownPValue,
  scorecard,
  verdictLook,
  type Row,
} from "./scorecard";

const variant = { weight: 50, config: null, ranges: [] };
const experiment: Pick<Experiment, "variants"> = {
  variants: [
    { ...variant, name: "treatment", is_control: false },
    { ...variant, name: "control", is_control: true },
  ],
};

const treatment: VariantResult = {
  variant: "treatment",
  n: 498,
  value: 6.9,
  effect: 0.59,
  ci: [-0.3, 1.4],
  lift: 0.0935,
  lift_ci: [-0.041, 0.228],
  p_value: 0.17,
  verdict: "not_significant",
};

function results(metric: Partial<MetricResult>, compared: Partial<VariantResult> = {}): Results {
  return {
    id: "1",
    experiment: "checkout",
    as_of: "2026-11-20T12:00:00Z",
    status: "collecting",
    phase: 1,
    generations: [1],
    alpha: 0.05,
    exposures: { treatment: 498, control: 512 },
    excluded_multiple_variants: 0,
    recommendations: [],
    warnings: [],
    looks: [],
    metrics: [
      {
        metric: "revenue",
        role: "primary",
        kind: "mean",
        status: "computed",
        variants: [
          { ...treatment, ...compared },
          { variant: "control", n: 512, value: 6.31 },
        ],
        ...metric,
      },
    ],
  };
}

function row(metric: Partial<MetricResult>, compared: Partial<VariantResult> = {}): Row {
  const found = scorecard(results(metric, compared), experiment)[0]?.metrics[0]?.rows[0];
  if (found === undefined) throw new Error("no row");
  return found;
}

describe("a row of the scorecard", () => {
  it("compares with the variant that says it is the control", () => {
    expect(row({}).control.variant).toBe("control");
    expect(row({}).treatment.variant).toBe("treatment");
  });

  it("draws the interval that holds at every look while the fixed one may not be read", () => {
    const sequential = { lift_ci: [-0.2, 0.4], verdict: "collecting" as const };
    expect(row({}, { verdict: "collecting", sequential })).toMatchObject({
      alwaysValid: true,
      drawn: { lo: -0.2, hi: 0.4 },
    });
    expect(row({}, { sequential })).toMatchObject({ alwaysValid: false, drawn: { lo: -0.041, hi: 0.228 } });
  });

  it("draws nothing when the relative change is unbounded, and says so", () => {
    const unbounded = row({}, { lift: null, lift_ci: null });
    expect(unbounded.drawn).toBeNull();
    expect(describeRow(unbounded, 0.05)).toContain("The relative change is not defined");
  });

  it("says why there is no interval", () => {
    const undefinedYet = {
      undefined: "too_few_units",
      ci: null,
      lift_ci: null,
      verdict: "collecting",
    } as const;
    expect(describeRow(row({}, undefinedYet), 0.05)).toBe(
      "revenue of treatment: +0.59, too few units for an interval yet.",
    );
    expect(
      describeRow(row({ status: "not_computed" }, { effect: null, lift: null, lift_ci: null }), 0.05),
    ).toBe("revenue of treatment: this kind of metric is not computed yet.");
  });

  it("puts a guardrail's margin on the bad side", () => {
    const guardrail = { role: "guardrail", max_degradation: 0.05 } as const;
    expect(row(guardrail).margin).toBe(-0.05);
    expect(row({ ...guardrail, direction: "decrease" }).margin).toBe(0.05);
    expect(row({ ...guardrail, margin_type: "absolute" }).margin).toBeNull();
  });

  it("reads as a sentence", () => {
    expect(describeRow(row({}), 0.05)).toBe(
      "revenue of treatment: +9.35\u2009%, 95\u2009% interval −4.1\u2009% to +22.8\u2009%, not significant.",
    );
  });
});

describe("a verdict", () => {
  const significant = { verdict: "significant" } as const;
  it("says better or worse by the metric's direction, and points where the value went", () => {
    expect(verdictLook(row({}, significant))).toMatchObject({
      word: "Significant, better",
      icon: "up",
      tone: "good",
    });
    expect(verdictLook(row({ direction: "decrease" }, significant))).toMatchObject({
      word: "Significant, worse",
      icon: "up",
      tone: "bad",
    });
    expect(verdictLook(row({ direction: "decrease" }, { ...significant, effect: -1 }))).toMatchObject({
      word: "Significant, better",
      icon: "down",
    });
  });

  it("may come early only from the always-valid test", () => {
    const early = { verdict: "collecting", sequential: { verdict: "significant" } } as const;
    expect(verdictLook(row({}, early)).word).toBe("Significant early, better");
    expect(verdictLook(row({}, { verdict: "collecting" })).word).toBe("Collecting");
  });
});

describe("numbers of a row", () => {
  it("shows differences of shares in percentage points", () => {
    expect(formatDifference("proportion", 0.0105)).toBe("+1.05\u2009pp");
    expect(formatDifference("mean", 0.59)).toBe("+0.59");
  });

  it("says that a p-value waits for the horizon, and is silent where there will be none", () => {
    expect(formatShownPValue({ ...treatment, p_value: null, verdict: "collecting" })).toBe("at the horizon");
    expect(formatShownPValue({ ...treatment, p_value: null })).toBe("–");
    expect(formatShownPValue(treatment)).toBe("0.17");
  });

  it("leaves nothing out of the CSV and quotes what needs it", () => {
    const lines = toCsv(results({ metric: 'a "b", c' })).split("\r\n");
    expect(lines).toHaveLength(4);
    expect(lines[1]).toBe(
      '"a ""b"", c",primary,treatment,498,6.9,,,0.59,,-0.3,1.4,0.0935,-0.041,0.228,0.17,,not_significant',
    );
  });
});

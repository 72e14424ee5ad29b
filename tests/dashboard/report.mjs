/** Reports as the analysis hands them in, with numbers that a reader can check. */
import assert from "node:assert/strict";
import { call, environmentId } from "./api.mjs";

const COMPARED = {
  conversion: {
    treatment_a: {
      value: 0.1228,
      method: "two_proportions",
      effect: 0.0105,
      ci: [0.0026, 0.0184],
      lift: 0.0935,
      lift_ci: [0.0226, 0.166],
      p_value: 0.0091,
      verdict: "significant",
    },
    treatment_b: {
      value: 0.1101,
      method: "two_proportions",
      effect: -0.0022,
      ci: [-0.0098, 0.0055],
      lift: -0.0196,
      lift_ci: [-0.0861, 0.0503],
      p_value: 0.58,
      verdict: "not_significant",
    },
  },
  revenue: {
    treatment_a: {
      value: 6.9,
      method: "welch_t",
      effect: 0.59,
      ci: [-0.26, 1.44],
      lift: 0.0935,
      lift_ci: [-0.0412, 0.228],
      p_value: 0.17,
      verdict: "not_significant",
    },
    treatment_b: {
      value: 5.9,
      method: "welch_t",
      effect: -0.41,
      ci: [-1.2, 0.38],
      lift: -0.065,
      lift_ci: [-0.19, 0.0602],
      p_value: 0.31,
      verdict: "underpowered",
    },
  },
};

function comparison(name, kind, role, control, compared, n) {
  const variants = Object.entries(compared).map(([variant, { value, ...rest }]) => ({
    variant,
    n: n[variant],
    value,
    std_dev: 1,
    se: 0.01,
    p_adjusted: rest.p_value,
    ...rest,
  }));
  return {
    metric: name,
    role,
    kind,
    direction: "increase",
    status: "computed",
    ...(role === "guardrail" ? { max_degradation: 0.05, margin_type: "relative" } : {}),
    variants: [{ variant: "control", n: n.control, value: control, std_dev: 1 }, ...variants],
  };
}

/** Posts a report on the experiment; `n` are the exposed units by variant. */
export async function postReport(experiment, metrics, n, { passed = true, ready = false } = {}) {
  const environment = await environmentId();
  const asOf = new Date().toISOString();
  const total = Object.values(n).reduce((sum, count) => sum + count, 0);
  const report = {
    id: experiment.id,
    experiment_id: experiment.id,
    experiment: experiment.name,
    project: "default",
    environment,
    generation: 1,
    as_of: asOf,
    status: ready ? "ready" : "collecting",
    phase: 1,
    generations: [1],
    alpha: 0.05,
    exposures: n,
    excluded_multiple_variants: 3,
    srm: {
      statistic: passed ? 0.31 : 80.5,
      p_value: passed ? 0.857 : 1e-12,
      sequential_p_value: passed ? 1 : 1e-9,
      passed,
      expected: { control: total / 2, treatment_a: total / 4, treatment_b: total / 4 },
    },
    metrics: [
      comparison(metrics.conversion, "proportion", "primary", 0.1123, COMPARED.conversion, n),
      comparison(metrics.revenue, "mean", "guardrail", 6.31, COMPARED.revenue, n),
    ],
    warnings: [],
    looks: [],
    planned: {
      alpha: 0.05,
      power: 0.8,
      min_detectable_effect: 0.02,
      mde_type: "relative",
      required_units_per_variant: { control: 40000, treatment_a: 20000, treatment_b: 20000 },
      planned_end_at: new Date(Date.now() + 10 * 86_400_000).toISOString(),
      phase_started_at: asOf,
      sample_reached: ready,
    },
  };
  const answer = await call("POST", "/reports", {
    environment,
    generation: 1,
    as_of: asOf,
    reports: [report],
  });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.equal(answer.body.accepted, 1);
}

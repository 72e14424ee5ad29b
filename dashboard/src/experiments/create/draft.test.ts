import { describe, expect, it } from "vitest";
import { sortErrors } from "../../lib/pointer";
import { emptyDraft, formPath, toRequest, type Draft } from "./draft";

function draft(changes: Partial<Draft> = {}): Draft {
  return { ...emptyDraft(), ...changes };
}

function builder(changes: Partial<Draft["targeting"]>): Draft {
  const empty = emptyDraft();
  return { ...empty, targeting: { ...empty.targeting, mode: "builder", ...changes } };
}

const comparison = { key: "c", attribute: "age", op: "gte", values: "18" } as const;

describe("the request of a draft", () => {
  it("leaves out what was left empty", () => {
    const { body } = toRequest(draft({ name: "x", durationDays: "" }));
    expect(body).not.toHaveProperty("hypothesis");
    expect(body).not.toHaveProperty("targeting");
    expect(body).not.toHaveProperty("estimated_duration_days");
    expect(body).toMatchObject({ name: "x", traffic: 100, min_detectable_effect: 0.02 });
  });

  it("sends payloads as JSON values", () => {
    const variants = [{ key: "a", name: "control", weight: 100, config: '{"v": [1, null]}' }];
    expect(toRequest(draft({ variants })).body["variants"]).toEqual([
      { name: "control", weight: 100, config: { v: [1, null] } },
    ]);
  });

  it("names the field whose text is no JSON", () => {
    const variants = [
      { key: "a", name: "control", weight: 50, config: "" },
      { key: "b", name: "treatment", weight: 50, config: "{oops" },
    ];
    expect(Object.keys(toRequest(draft({ variants })).errors)).toEqual(["variants.1.config"]);
  });

  it("uses the short form of targeting where it says everything", () => {
    const { body } = toRequest(builder({ countries: ["US", "CA"], segment: "returning_users" }));
    expect(body["targeting"]).toEqual({ countries: ["US", "CA"], user_segment: "returning_users" });
  });

  it("uses a condition when comparisons are added", () => {
    const { body } = toRequest(builder({ platforms: ["ios"], comparisons: [comparison] }));
    expect(body["targeting"]).toEqual({
      all: [
        { attribute: "platform", op: "in", values: ["ios"] },
        { attribute: "age", op: "gte", values: [18] },
      ],
    });
  });

  it("turns percent into fractions without the noise of binary", () => {
    expect(toRequest(draft({ mde: 0.7 })).body["min_detectable_effect"]).toBe(0.007);
    const guardrails = [{ metric: "latency", maxDegradation: 5 }] as const;
    expect(toRequest(draft({ guardrails: [...guardrails] })).body["guardrail_metrics"]).toEqual([
      { metric: "latency", max_degradation: 0.05, margin_type: "relative" },
    ]);
  });
});

describe("the field that a pointer names", () => {
  const cases: [string[], string | undefined, Draft?][] = [
    [["name"], "name"],
    [["min_detectable_effect"], "mde"],
    [["variants"], "variants"],
    [["variants", "1", "weight"], "variants.1.weight"],
    [["variants", "1", "config", "colour"], "variants.1.config"],
    [["variants", "1"], "variants.1.name"],
    [["variants", "7", "name"], "variants"],
    [["guardrail_metrics", "0"], "guardrails"],
    [
      ["guardrail_metrics", "0", "max_degradation"],
      "guardrails.0.maxDegradation",
      draft({ guardrails: [{ metric: "latency", maxDegradation: 5 }] }),
    ],
    [["targeting", "user_segment"], "targeting.segment", builder({ segment: "x" })],
    [
      ["targeting", "all", "1", "op"],
      "targeting.comparisons.0",
      builder({ countries: ["US"], comparisons: [comparison] }),
    ],
    [
      ["targeting", "all", "0", "values"],
      "targeting.json",
      draft({ targeting: { ...emptyDraft().targeting, mode: "json" } }),
    ],
    [["start_at"], undefined],
    [[], undefined],
  ];
  it.each(cases)("%j is %s", (tokens, expected, edited) => {
    expect(formPath(tokens, edited ?? emptyDraft())).toBe(expected);
  });

  it("keeps what no field shows, and joins what one field shows", () => {
    const sorted = sortErrors(
      [
        { pointer: "/name", code: "too_long", detail: "too long" },
        { pointer: "/name", code: "pattern", detail: "only lower case" },
        { pointer: "/prerequisites/0", code: "unknown", detail: "no such flag" },
      ],
      (tokens) => formPath(tokens, emptyDraft()),
    );
    expect(sorted.fields).toEqual({ name: "too long\nonly lower case" });
    expect(sorted.unmatched.map(({ pointer }) => pointer)).toEqual(["/prerequisites/0"]);
  });
});

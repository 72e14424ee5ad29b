import { describe, expect, it } from "vitest";
import { bucketsIn, describeRanges, evenWeights, totalWeight } from "./buckets";
import { describeCondition, parseLiterals } from "./condition";
import { parsePointer } from "./pointer";

describe("buckets", () => {
  it("splits evenly to exactly 100", () => {
    for (let count = 1; count <= 12; count += 1) {
      expect(totalWeight(evenWeights(count))).toBe(100);
    }
    expect(evenWeights(3)).toEqual([33.34, 33.33, 33.33]);
  });

  it("adds weights without the noise of binary", () => {
    expect(totalWeight([33.34, 33.33, 33.33])).toBe(100);
    expect(totalWeight([0.1, 0.2])).toBe(0.3);
  });

  it("counts and names ranges by their last bucket", () => {
    expect(
      bucketsIn([
        [0, 5000],
        [7500, 7501],
      ]),
    ).toBe(5001);
    expect(
      describeRanges([
        [0, 5000],
        [7500, 7501],
      ]),
    ).toBe("0–4999, 7500");
    expect(describeRanges([])).toBe("none");
  });
});

describe("conditions in words", () => {
  it("reads the short form", () => {
    expect(describeCondition({ countries: ["US", "CA"], user_segment: "returning" })).toBe(
      "country is one of US, CA and in segment returning",
    );
  });

  it("keeps the grouping of a tree", () => {
    expect(
      describeCondition({
        all: [
          { any: [{ segment: "a" }, { segment: "b" }] },
          { not: { attribute: "age", op: "lt", values: [18] } },
        ],
      }),
    ).toBe("(in segment a or in segment b) and not (age < 18)");
  });

  it("reads typed values by what they look like", () => {
    expect(parseLiterals('US, 18, -2.5, true, "18", 007')).toEqual(["US", 18, -2.5, true, "18", "007"]);
    expect(parseLiterals(" , ")).toEqual([]);
  });
});

describe("JSON pointers", () => {
  it.each([
    ["", []],
    ["/", []],
    ["/variants/0/weight", ["variants", "0", "weight"]],
    ["#/a~1b/~0c", ["a/b", "~c"]],
    ["name", ["name"]],
  ])("%j is %j", (pointer, tokens) => {
    expect(parsePointer(pointer)).toEqual(tokens);
  });
});

/** Targeting conditions, in words and as the form edits them. */
import type { Condition, Literal, ShortTargeting } from "../api/types";

/** How a comparison compares. */
export type Operator = Extract<Condition, { op: unknown }>["op"];

/** Operators and how they read between an attribute and its values. */
export const OPERATORS: Readonly<Record<Operator, string>> = {
  in: "is one of",
  not_in: "is none of",
  eq: "equals",
  neq: "differs from",
  lt: "<",
  lte: "≤",
  gt: ">",
  gte: "≥",
  before: "is before",
  after: "is after",
  contains: "contains",
  starts_with: "starts with",
  ends_with: "ends with",
  matches: "matches",
  exists: "is present",
  contains_any: "has any of",
  contains_all: "has all of",
  semver_eq: "is version",
  semver_lt: "is below version",
  semver_lte: "is at most version",
  semver_gt: "is above version",
  semver_gte: "is at least version",
  ip_in: "is in network",
};

function isShort(targeting: Condition | ShortTargeting): targeting is ShortTargeting {
  return "countries" in targeting || "platforms" in targeting || "user_segment" in targeting;
}

/** The long form of the short form; anything else unchanged. */
export function longForm(targeting: Condition | ShortTargeting): Condition {
  if (!isShort(targeting)) return targeting;
  const parts: Condition[] = [];
  if (targeting.countries) parts.push({ attribute: "country", op: "in", values: targeting.countries });
  if (targeting.platforms) parts.push({ attribute: "platform", op: "in", values: targeting.platforms });
  if (targeting.user_segment) parts.push({ segment: targeting.user_segment });
  return { all: parts };
}

function describeParts(parts: readonly Condition[], word: string): string {
  return parts
    .map((part) =>
      "all" in part || "any" in part ? `(${describeCondition(part)})` : describeCondition(part),
    )
    .join(` ${word} `);
}

/** A condition as a sentence: "country is one of US, CA and in segment returning_users". */
export function describeCondition(targeting: Condition | ShortTargeting): string {
  const condition = longForm(targeting);
  if ("all" in condition)
    return condition.all.length === 0 ? "everyone" : describeParts(condition.all, "and");
  if ("any" in condition) return condition.any.length === 0 ? "nobody" : describeParts(condition.any, "or");
  if ("not" in condition) return `not (${describeCondition(condition.not)})`;
  if ("segment" in condition) return `in segment ${condition.segment}`;
  const operator = OPERATORS[condition.op];
  const values = (condition.values ?? []).map(String).join(", ");
  return values === ""
    ? `${condition.attribute} ${operator}`
    : `${condition.attribute} ${operator} ${values}`;
}

/**
 * Values as typed, separated by commas: numbers and true or false become what they look like, because types never coerce
 * in targeting; quotes keep them text.
 */
export function parseLiterals(text: string): Literal[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      if (part === "true") return true;
      if (part === "false") return false;
      if (/^-?(0|[1-9]\d*)(\.\d+)?$/.test(part)) return Number(part);
      const quoted = /^"(.*)"$/.exec(part);
      return quoted?.[1] ?? part;
    });
}

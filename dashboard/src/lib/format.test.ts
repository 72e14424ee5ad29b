import { describe, expect, it } from "vitest";
import {
  dayNumber,
  formatAgo,
  formatCount,
  formatInterval,
  formatPercent,
  formatPValue,
  formatValue,
  NOTHING,
} from "./format";

describe("numbers", () => {
  it.each([
    [0, "0"],
    [6.31, "6.31"],
    [6.3149, "6.31"],
    [0.0123456, "0.0123"],
    [1794.34, "1,794"],
    [59.9, "59.9"],
    [-4.123, "−4.12"],
    [1234567, "1,234,567"],
  ])("%d reads %s", (value, text) => {
    expect(formatValue(value)).toBe(text);
  });

  it("shows the sign of a change", () => {
    expect(formatValue(0.59, true)).toBe("+0.59");
    expect(formatValue(0, true)).toBe("0");
    expect(formatPercent(0.0935, true)).toBe("+9.35\u2009%");
    expect(formatPercent(-0.041, true)).toBe("−4.1\u2009%");
  });

  it("shows nothing for what is not known", () => {
    for (const nothing of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(formatValue(nothing)).toBe(NOTHING);
      expect(formatPercent(nothing)).toBe(NOTHING);
      expect(formatCount(nothing)).toBe(NOTHING);
    }
    expect(formatInterval([null, 3], formatValue)).toBe(NOTHING);
    expect(formatInterval(null, formatValue)).toBe(NOTHING);
  });

  it("never rounds a p-value to zero", () => {
    expect(formatPValue(0.00000001)).toBe("<\u20090.0001");
    expect(formatPValue(0.0079)).toBe("0.0079");
    expect(formatPValue(0.5)).toBe("0.50");
  });

  it("writes an interval in words", () => {
    expect(formatInterval([-0.041, 0.228], formatPercent)).toBe("−4.1\u2009% to +22.8\u2009%");
  });
});

describe("times", () => {
  const now = Date.parse("2026-11-20T12:00:00Z");
  it.each([
    ["2026-11-20T11:59:58Z", "2 seconds ago"],
    ["2026-11-20T11:58:30Z", "1 minute ago"],
    ["2026-11-20T09:00:00Z", "3 hours ago"],
    ["2026-11-13T12:00:00Z", "7 days ago"],
    ["2026-11-20T12:00:05Z", "just now"],
  ])("%s is %s", (iso, text) => {
    expect(formatAgo(iso, now)).toBe(text);
  });

  it("counts the first day as day 1", () => {
    expect(dayNumber("2026-11-20T11:00:00Z", now)).toBe(1);
    expect(dayNumber("2026-11-15T11:00:00Z", now)).toBe(6);
  });
});

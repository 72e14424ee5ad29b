import { describe, expect, it } from "vitest";
import { placeInterval, sharedAxis, sharedDomain } from "./interval";

const narrow = { lo: -0.02, point: 0.01, hi: 0.04 };

describe("the shared axis", () => {
  it("holds zero and every interval", () => {
    const [lo, hi] = sharedDomain([{ lo: 0.01, point: 0.02, hi: 0.03 }, narrow]);
    expect(lo).toBeLessThan(-0.02);
    expect(hi).toBeGreaterThan(0.04);
    const [positiveLo] = sharedDomain([{ lo: 0.01, point: 0.02, hi: 0.03 }]);
    expect(positiveLo).toBeLessThan(0);
  });

  it("stays drawable with nothing to draw", () => {
    expect(sharedDomain([])).toEqual([-0.1, 0.1]);
    expect(sharedDomain([{ lo: 0, point: 0, hi: 0 }])).toEqual([-0.1, 0.1]);
    expect(sharedDomain([{ lo: Number.NEGATIVE_INFINITY, point: 0, hi: 1 }])).toEqual([-0.1, 0.1]);
  });

  it("clips an interval that would flatten the others, on the sides that go on", () => {
    const wild = { lo: -8, point: 0.03, hi: 9 };
    const axis = sharedAxis([narrow, narrow, wild], 300);
    expect(placeInterval(wild, axis)).toMatchObject({ clippedLo: true, clippedHi: true, pointHidden: false });
    expect(placeInterval(narrow, axis)).toMatchObject({ clippedLo: false, clippedHi: false });
  });

  it("clips nothing while the intervals are of one kind", () => {
    const wide = { lo: -0.1, point: 0.1, hi: 0.3 };
    const axis = sharedAxis([narrow, wide], 300);
    expect(placeInterval(wide, axis)).toMatchObject({ clippedLo: false, clippedHi: false });
  });

  it("places in order, within its width", () => {
    const axis = sharedAxis([narrow], 300);
    const { lo, point, hi, zero } = placeInterval(narrow, axis);
    expect(0).toBeLessThan(lo);
    expect(lo).toBeLessThan(zero);
    expect(zero).toBeLessThan(point);
    expect(point).toBeLessThan(hi);
    expect(hi).toBeLessThan(300);
  });

  it("has zero among its ticks", () => {
    expect(sharedAxis([narrow], 300).ticks).toContain(0);
  });
});

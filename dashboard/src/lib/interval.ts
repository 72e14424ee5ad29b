/** Geometry of the intervals that the scorecard draws on one shared axis. */
import { scaleLinear } from "d3-scale";

/** A closed interval with its point estimate, all in the unit of the axis. */
export interface DrawnInterval {
  lo: number;
  point: number;
  hi: number;
}

/** What one row paints, in pixels from the left. */
export interface IntervalGeometry {
  zero: number;
  point: number;
  lo: number;
  hi: number;
  /** The interval goes on beyond the axis on that side. */
  clippedLo: boolean;
  clippedHi: boolean;
  /** The point itself lies beyond the axis. */
  pointHidden: boolean;
}

/** One axis for all rows. */
export interface SharedAxis {
  domain: readonly [number, number];
  width: number;
  ticks: readonly number[];
  place: (value: number) => number;
}

/** Room left and right of the drawing, so that caps and arrows are not cut. Pixels. */
const PADDING = 16;

/** Pixels that a tick and its label need. */
const TICK_ROOM = 56;

/** An interval that reaches this many times farther than the median one is an outlier. */
const OUTLIER_FACTOR = 4;

/** How far beyond the other intervals the axis goes when outliers are clipped. */
const CLIP_MARGIN = 1.5;

/** The reach at which intervals are clipped: infinite when none is an outlier. */
function clipLimit(intervals: readonly DrawnInterval[]): number {
  const reaches = intervals.map(({ lo, hi }) => Math.max(Math.abs(lo), Math.abs(hi))).sort((a, b) => a - b);
  const median = reaches[Math.floor(reaches.length / 2)] ?? 0;
  const usual = reaches.filter((reach) => reach <= median * OUTLIER_FACTOR);
  const largest = usual.at(-1) ?? 0;
  return usual.length === reaches.length || largest === 0 ? Number.POSITIVE_INFINITY : largest * CLIP_MARGIN;
}

/**
 * The domain that shows zero and every interval, except that outliers are clipped: one metric with little data must not
 * make the others unreadable.
 */
export function sharedDomain(intervals: readonly DrawnInterval[]): readonly [number, number] {
  const finite = intervals.filter(({ lo, hi }) => Number.isFinite(lo) && Number.isFinite(hi));
  const limit = clipLimit(finite);
  const lo = Math.max(-limit, Math.min(0, ...finite.map((interval) => interval.lo)));
  const hi = Math.min(limit, Math.max(0, ...finite.map((interval) => interval.hi)));
  if (lo === hi) return [-0.1, 0.1];
  const margin = (hi - lo) * 0.06;
  return [lo - margin, hi + margin];
}

/** The axis of `width` pixels over all intervals. */
export function sharedAxis(intervals: readonly DrawnInterval[], width: number): SharedAxis {
  const domain = sharedDomain(intervals);
  const scale = scaleLinear()
    .domain(domain)
    .range([PADDING, width - PADDING]);
  return {
    domain,
    width,
    ticks: scale.ticks(Math.max(2, Math.floor((width - 2 * PADDING) / TICK_ROOM))),
    place: (value) => scale(value),
  };
}

/** Where one interval lands on the axis. */
export function placeInterval(interval: DrawnInterval, axis: SharedAxis): IntervalGeometry {
  const [min, max] = axis.domain;
  const clamp = (value: number) => axis.place(Math.min(max, Math.max(min, value)));
  return {
    zero: axis.place(0),
    point: clamp(interval.point),
    lo: clamp(interval.lo),
    hi: clamp(interval.hi),
    clippedLo: interval.lo < min,
    clippedHi: interval.hi > max,
    pointHidden: interval.point < min || interval.point > max,
  };
}

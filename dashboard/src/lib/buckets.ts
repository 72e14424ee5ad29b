/** Bucket ranges: half-open pairs out of 10 000. */

/** Buckets of a layer or of an experiment's split. */
export const BUCKET_COUNT = 10_000;

/** A half-open range `[lo, hi)` of buckets, as a pair. */
export type Range = readonly number[];

/** How many buckets the ranges hold. */
export function bucketsIn(ranges: readonly Range[]): number {
  return ranges.reduce((sum, [lo = 0, hi = 0]) => sum + (hi - lo), 0);
}

/** The ranges in words: "0–4999, 7500–7999"; the last bucket of each is named, as people read ranges. */
export function describeRanges(ranges: readonly Range[]): string {
  if (ranges.length === 0) return "none";
  return ranges.map(([lo = 0, hi = 0]) => (hi - lo === 1 ? String(lo) : `${lo}–${hi - 1}`)).join(", ");
}

/** Weights in percent that sum to exactly 100 with two decimals, as equal as that allows. */
export function evenWeights(count: number): number[] {
  if (count === 0) return [];
  const share = Math.floor(BUCKET_COUNT / count);
  const left = BUCKET_COUNT - share * count;
  return Array.from({ length: count }, (_, index) => (share + (index < left ? 1 : 0)) / 100);
}

/** The sum of weights in percent, free of the noise of binary fractions. */
export function totalWeight(weights: readonly number[]): number {
  return Math.round(weights.reduce((sum, weight) => sum + weight, 0) * 100) / 100;
}

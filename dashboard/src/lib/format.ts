/**
 * Numbers, shares and times as people read them.
 *
 * Values carry three significant digits, integers all of theirs; signs use the minus of typography, so that columns line
 * up. Everything follows the reader's locale.
 */

const MINUS = "\u2212";
const THIN_SPACE = "\u2009";

/** What stands where there is nothing to show. */
export const NOTHING = "–";

function typographic(text: string): string {
  return text.replaceAll("-", MINUS);
}

/** Fraction digits that leave three significant digits, and never cut an integer. */
function fractionDigits(magnitude: number): number {
  if (magnitude === 0) return 0;
  return Math.min(8, Math.max(0, 2 - Math.floor(Math.log10(magnitude))));
}

function isNumber(value: number | null | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** A measured value: 3 significant digits. */
export function formatValue(value: number | null | undefined, signed = false): string {
  if (!isNumber(value)) return NOTHING;
  const digits = fractionDigits(Math.abs(value));
  return typographic(
    new Intl.NumberFormat(undefined, {
      maximumFractionDigits: digits,
      minimumFractionDigits: Math.abs(value) < 1000 && !Number.isInteger(value) ? Math.min(digits, 2) : 0,
      signDisplay: signed ? "exceptZero" : "auto",
    }).format(value),
  );
}

/** A count of units or events. */
export function formatCount(value: number | null | undefined): string {
  if (!isNumber(value)) return NOTHING;
  return typographic(new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 }).format(value));
}

/** A share or a relative change, given as a fraction: 0.0935 is 9.35 %. */
export function formatPercent(fraction: number | null | undefined, signed = false): string {
  if (!isNumber(fraction)) return NOTHING;
  const percent = fraction * 100;
  const digits = Math.min(3, fractionDigits(Math.abs(percent)));
  const number = new Intl.NumberFormat(undefined, {
    maximumFractionDigits: digits,
    minimumFractionDigits: Number.isInteger(percent) ? 0 : Math.min(digits, 1),
    signDisplay: signed ? "exceptZero" : "auto",
  }).format(percent);
  return `${typographic(number)}${THIN_SPACE}%`;
}

/** A p-value: four decimals, and a bound where they would all be zero. */
export function formatPValue(value: number | null | undefined): string {
  if (!isNumber(value)) return NOTHING;
  if (value < 0.0001) return `<${THIN_SPACE}0.0001`;
  return new Intl.NumberFormat(undefined, { maximumFractionDigits: 4, minimumFractionDigits: 2 }).format(
    value,
  );
}

/** An interval in words: "−4.1 % to +22.8 %". */
export function formatInterval(
  interval: readonly (number | null)[] | null | undefined,
  format: (value: number, signed: boolean) => string,
): string {
  const [lo, hi] = interval ?? [];
  if (!isNumber(lo) || !isNumber(hi)) return NOTHING;
  return `${format(lo, true)} to ${format(hi, true)}`;
}

/** A point in time, to the second, in the reader's time zone. */
export function formatTime(iso: string | null | undefined): string {
  const time = iso ? Date.parse(iso) : Number.NaN;
  if (Number.isNaN(time)) return NOTHING;
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" }).format(time);
}

/** A day in the reader's time zone. */
export function formatDay(iso: string | null | undefined): string {
  const time = iso ? Date.parse(iso) : Number.NaN;
  if (Number.isNaN(time)) return NOTHING;
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium" }).format(time);
}

const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
] as const;

/** How long ago, in the largest unit that fits: "3 minutes ago". Times ahead of the clock count as now. */
export function formatAgo(iso: string | null | undefined, nowMs: number): string {
  const time = iso ? Date.parse(iso) : Number.NaN;
  if (Number.isNaN(time)) return NOTHING;
  const elapsedMs = Math.max(0, nowMs - time);
  if (elapsedMs < 1_000) return "just now";
  const [unit, size] = UNITS.find(([, ms]) => elapsedMs >= ms) ?? ["second", 1_000];
  return new Intl.RelativeTimeFormat(undefined, { numeric: "always" }).format(
    -Math.floor(elapsedMs / size),
    unit,
  );
}

/** Days between two times, for "day 5 of 14". The first day is day 1. */
export function dayNumber(startIso: string, nowMs: number): number {
  return Math.max(1, Math.floor((nowMs - Date.parse(startIso)) / 86_400_000) + 1);
}

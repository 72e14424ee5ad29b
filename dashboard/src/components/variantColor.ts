const COLORS = 6;

/** The colour of a variant by its place: the control is always grey. Never the only sign of which variant is meant. */
export function variantColor(index: number): string {
  return `var(--variant-${index === 0 ? 0 : ((index - 1) % (COLORS - 1)) + 1})`;
}

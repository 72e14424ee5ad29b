/** JSON pointers (RFC 6901), by which the server names the field that an error is about. */

/** The reference tokens of a pointer; the whole document is the empty list. */
export function parsePointer(pointer: string): string[] {
  const text = pointer.startsWith("#") ? decodeURIComponent(pointer.slice(1)) : pointer;
  if (text === "" || text === "/") return [];
  return text
    .replace(/^\//, "")
    .split("/")
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** One complaint of the server about one field. */
export interface FieldError {
  pointer: string;
  code: string;
  detail: string;
}

/** Errors sorted into those that belong to a field of the form and the rest. */
export interface SortedErrors {
  /** Messages by form path, several for one field joined by a line break. */
  fields: Record<string, string>;
  /** Errors that no field of the form shows. */
  unmatched: FieldError[];
}

/** Sorts the server's errors by `pathOf`, which knows which form field edits what a pointer names. */
export function sortErrors(
  errors: readonly FieldError[],
  pathOf: (tokens: readonly string[]) => string | undefined,
): SortedErrors {
  const sorted: SortedErrors = { fields: {}, unmatched: [] };
  for (const error of errors) {
    const path = pathOf(parsePointer(error.pointer));
    if (path === undefined) {
      sorted.unmatched.push(error);
      continue;
    }
    const before = sorted.fields[path];
    sorted.fields[path] = before === undefined ? error.detail : `${before}\n${error.detail}`;
  }
  return sorted;
}

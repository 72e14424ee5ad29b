/** Errors of the API: RFC 9457 problem details with the offending fields. */
import type { FieldError } from "../lib/pointer";
import type { Warning } from "./types";

/** A refused request, or one that never got an answer (`status` 0). */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly errors: readonly FieldError[];
  /** Warnings that the request may acknowledge to be carried out after all. */
  readonly warnings: readonly Warning[];
  /** By which the server's log names this request. */
  readonly requestId: string | undefined;

  constructor(fields: {
    status: number;
    code: string;
    title: string;
    detail: string;
    errors?: readonly FieldError[];
    warnings?: readonly Warning[];
    requestId?: string | undefined;
  }) {
    super(fields.detail || fields.title);
    this.name = "Problem";
    this.status = fields.status;
    this.code = fields.code;
    this.title = fields.title;
    this.detail = fields.detail;
    this.errors = fields.errors ?? [];
    this.warnings = fields.warnings ?? [];
    this.requestId = fields.requestId;
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** The entries of a list of errors or warnings, whatever is missing of them. */
function complaints(value: unknown): FieldError[] {
  if (!Array.isArray(value)) return [];
  return value.map((entry: unknown) => {
    const fields = record(entry);
    return { pointer: text(fields["pointer"]), code: text(fields["code"]), detail: text(fields["detail"]) };
  });
}

/** Reads the body of a refusal; anything that is no problem document becomes one. */
export function problemFrom(response: Response, body: unknown): Problem {
  const fields = record(body);
  const title = text(fields["title"]) || response.statusText || `HTTP ${response.status}`;
  return new Problem({
    status: response.status,
    code: text(fields["code"]) || `http_${response.status}`,
    title,
    detail: text(fields["detail"]) || title,
    errors: complaints(fields["errors"]),
    warnings: complaints(fields["warnings"]),
    requestId: response.headers.get("x-request-id") ?? undefined,
  });
}

/** Whatever was thrown, as a problem that can be shown. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem({
    status: 0,
    code: "unreachable",
    title: "The control plane did not answer",
    detail: error instanceof Error ? error.message : String(error),
  });
}

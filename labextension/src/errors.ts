import type { ILimit, IProblem } from './api';

/** Reason code for a server that has no `/api/remote-kernels`. */
export const SERVER_EXTENSION_MISSING = 'server_extension_missing';

/** Reason code for a request that got no answer at all. */
export const SERVER_UNREACHABLE = 'server_unreachable';

/** The one error that the extension's requests end with. */
export class RemoteKernelsError extends Error {
  constructor(problem: IProblem) {
    super(problem.detail || problem.title || problem.reason || 'Unknown error');
    this.name = 'RemoteKernelsError';
    this.status = problem.status ?? 0;
    this.reason = problem.reason ?? 'unknown';
    this.title = problem.title ?? '';
    this.detail = problem.detail ?? '';
    this.hint = problem.hint ?? '';
    this.limit = problem.limit ?? null;
    this.key = problem.key ?? null;
  }

  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The machine-readable reason code. */
  readonly reason: string;
  readonly title: string;
  readonly detail: string;
  /** What the user can do about it. */
  readonly hint: string;
  /** The limit that the request was over. */
  readonly limit: ILimit | null;
  /** Which key of an environment is wrong. */
  readonly key: string | null;

  /** Wrap anything that was thrown, so that callers meet one type only. */
  static from(error: unknown): RemoteKernelsError {
    if (error instanceof RemoteKernelsError) {
      return error;
    }
    const detail = error instanceof Error ? error.message : String(error);
    return new RemoteKernelsError({ reason: 'unknown', detail });
  }
}

import { RemoteKernelsError } from '../errors';
import type { IExecution, IExecutionsApi } from '../executionsApi';

/** A server that does not answer is asked again after this long, then after twice as long. */
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;

/**
 * Ask which runs the server keeps, until it answers.
 *
 * @returns the runs, oldest first; `null` when nobody wants to know any more, or there is no such
 * runtime
 */
export async function listExecutions(
  api: IExecutionsApi,
  runtimeId: string,
  isWanted: () => boolean
): Promise<IExecution[] | null> {
  let wait = FIRST_WAIT_MS;
  while (isWanted()) {
    try {
      return await api.listExecutions(runtimeId);
    } catch (error) {
      if (RemoteKernelsError.from(error).status === 404) {
        return null;
      }
    }
    await new Promise(resolve => setTimeout(resolve, wait));
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  }
  return null;
}

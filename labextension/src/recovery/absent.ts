/**
 * Runs whose cells are not in the notebook: it was closed before it was saved.
 */
import type { NotebookPanel } from '@jupyterlab/notebook';

import type { IExecution, IExecutionsApi } from '../executionsApi';
import { codeOf, readTranscript } from './transcript';

/** Add the cells with their code at the end; their outputs are recovered as those of any cell. */
export async function addAbsent(
  panel: NotebookPanel,
  api: IExecutionsApi,
  runtimeId: string,
  executions: ReadonlyArray<IExecution>
): Promise<void> {
  for (const { msg_id, cell_id } of executions) {
    const { messages } = await readTranscript(api, runtimeId, msg_id);
    const shared = panel.content.model?.sharedModel;
    shared?.addCell({
      cell_type: 'code',
      id: cell_id,
      source: codeOf(messages) ?? '',
      metadata: { trusted: true }
    });
  }
}

/** Forget the runs. */
export async function discardAbsent(
  api: IExecutionsApi,
  runtimeId: string,
  executions: ReadonlyArray<IExecution>
): Promise<void> {
  for (const { msg_id } of executions) {
    try {
      await api.settleExecution(runtimeId, msg_id);
    } catch {
      // It still runs, or is gone: nothing is lost by keeping it.
      continue;
    }
  }
}

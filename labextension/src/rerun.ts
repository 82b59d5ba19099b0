import type { JupyterFrontEnd } from '@jupyterlab/application';
import {
  NotebookActions,
  type INotebookTracker,
  type NotebookPanel
} from '@jupyterlab/notebook';

import type { IRuntime } from './api';
import type { IMakingCell } from './stateApi';

interface IRerunContext {
  readonly app: JupyterFrontEnd;
  readonly notebooks: INotebookTracker | null;
}

/**
 * Run a cell again that has made a variable, because a person wants that.
 *
 * In its notebook it is run in its place, else in the kernel alone.
 *
 * @returns false when it ended with an error, which its cell shows
 */
export async function runAgain(
  { app, notebooks }: IRerunContext,
  runtime: IRuntime,
  cell: IMakingCell
): Promise<boolean> {
  const panel = notebooks?.find(
    ({ sessionContext }) => sessionContext.session?.kernel?.id === runtime.id
  );
  const place = panel && findCell(panel, cell);
  if (place) {
    const { content, sessionContext } = panel;
    return NotebookActions.runCells(content, [place], sessionContext);
  }
  const kernel = app.serviceManager.kernels.connectTo({
    model: { id: runtime.id, name: runtime.kernel_name }
  });
  try {
    const { content } = await kernel.requestExecute({ code: cell.source }).done;
    if (content.status === 'error') {
      throw new Error(`${content.ename}: ${content.evalue}`);
    }
    return content.status === 'ok';
  } finally {
    kernel.dispose();
  }
}

/** The cell in a notebook that has this code; of several the one that was run under its number. */
function findCell(
  { content }: NotebookPanel,
  { number, source }: IMakingCell
): NotebookPanel['content']['widgets'][number] | undefined {
  const same = content.widgets.filter(
    ({ model }) =>
      model.type === 'code' &&
      model.sharedModel.getSource().trim() === source.trim()
  );
  const numberOf = ({ model }: (typeof same)[number]): unknown =>
    (model.toJSON() as { execution_count?: number | null }).execution_count;
  return same.find(widget => numberOf(widget) === number) ?? same[0];
}

/**
 * Shows what a page has missed in the cells of a notebook.
 */
import type { CodeCell, CodeCellModel } from '@jupyterlab/cells';
import type { Notebook } from '@jupyterlab/notebook';
import type { Kernel, KernelMessage } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IExecution } from '../executionsApi';
import { droppedText } from './notices';
import type { IRepair } from './plan';
import { RecoveredExecution } from './recoveredExecution';
import {
  codeOf,
  isOutput,
  mergeStreams,
  updatedDisplay,
  type IMessage
} from './transcript';

/** What JupyterLab's own future has beyond its interface. */
interface IHandler {
  handleMsg(message: IMessage): Promise<void>;
}

/** The code cell with an id. */
export function findCell(
  notebook: Notebook,
  cellId: string
): CodeCell | undefined {
  return notebook.widgets.find(
    (cell): cell is CodeCell =>
      cell.model.type === 'code' && cell.model.id === cellId
  );
}

/** JupyterLab's future for a request, as long as a cell's outputs come from it. */
export function findFuture(
  cell: CodeCell | undefined,
  msgId: string
): (Kernel.IShellFuture & IHandler) | null {
  // Typed as always there; a cell that was not run has none.
  const future = cell?.outputArea.future as Kernel.IShellFuture | undefined;
  const isIt =
    future?.msg.header.msg_id === msgId &&
    !future.isDisposed &&
    'handleMsg' in future;
  return isIt ? (future as Kernel.IShellFuture & IHandler) : null;
}

/** Show a run from its begin in its cell, in the place of what the cell shows. */
export function showFromBegin(options: {
  cell: CodeCell;
  kernel: Kernel.IKernelConnection;
  execution: IExecution;
  messages: ReadonlyArray<IMessage>;
  trans: TranslationBundle;
}): RecoveredExecution {
  const { cell, kernel, execution, messages, trans } = options;
  const { model } = cell;
  const recovered = new RecoveredExecution({
    kernel,
    msgId: execution.msg_id,
    cellId: execution.cell_id,
    messages
  });
  const code = codeOf(messages);
  // No step that can be undone: nobody has edited anything.
  model.sharedModel.transact(() => {
    if (code !== null && !model.sharedModel.getSource().trim()) {
      model.sharedModel.setSource(code);
    }
    model.clearExecution();
    cell.outputHidden = false;
  }, false);
  model.executionState = 'running';
  model.trusted = true;
  cell.outputArea.future = recovered;
  if (execution.dropped_messages > 0) {
    const text = `${droppedText(trans, execution.dropped_messages)}\n`;
    model.outputs.add({ output_type: 'stream', name: 'stderr', text });
  }
  recovered.done.then(
    reply => {
      const { execution_count } = reply.content;
      endRun(cell, recovered, execution_count ?? execution.execution_count);
      if (code !== null) {
        // As JupyterLab marks a cell that was edited since it ran.
        const isOther = model.sharedModel.getSource().trim() !== code.trim();
        (model as CodeCellModel).isDirty = isOther;
      }
    },
    () => endRun(cell, recovered, execution.execution_count)
  );
  recovered.feed(messages);
  return recovered;
}

function endRun(
  cell: CodeCell,
  recovered: RecoveredExecution,
  count: number | null
): void {
  // The cell may have been run again, or removed, meanwhile.
  if (!cell.isDisposed && findRecovered(cell) === recovered) {
    cell.model.executionState = 'idle';
    cell.model.executionCount = count;
  }
}

function findRecovered(cell: CodeCell): unknown {
  return cell.outputArea.future;
}

/** Show what is missing in a cell that JupyterLab follows. */
export async function showMissing(
  cell: CodeCell,
  future: Kernel.IShellFuture & IHandler,
  repair: IRepair
): Promise<void> {
  const { onIOPub, onStdin } = future;
  if (repair.clear) {
    cell.outputArea.model.clear();
  }
  // At once, so that nothing that comes live gets in between.
  for (const message of mergeStreams(repair.outputs)) {
    void onIOPub(message as KernelMessage.IIOPubMessage);
  }
  const handled = repair.others.map(message => future.handleMsg(message));
  // What was shown here may be on its way to JupyterLab too.
  const shown = new Set(
    [...repair.outputs, ...repair.others]
      .filter(message => isOutput(message) || message.channel === 'stdin')
      .map(({ header }) => header.msg_id)
  );
  future.onIOPub = msg =>
    shown.has(msg.header.msg_id) ? undefined : onIOPub(msg);
  future.onStdin = msg =>
    shown.has(msg.header.msg_id) ? undefined : onStdin(msg);
  await Promise.all(handled);
}

/** Change displays of other cells as a run has done it meanwhile. */
export function updateDisplays(
  notebook: Notebook,
  messages: ReadonlyArray<IMessage>,
  except: CodeCell
): void {
  const updates = messages.filter(message => updatedDisplay(message) !== null);
  if (updates.length === 0) {
    return;
  }
  for (const cell of notebook.widgets) {
    if (cell.model.type === 'code' && cell !== except) {
      const { future } = (cell as CodeCell).outputArea;
      // Each cell looks itself whether it has the display.
      updates.forEach(
        message =>
          void (future as Kernel.IShellFuture | undefined)?.onIOPub(
            message as KernelMessage.IIOPubMessage
          )
      );
    }
  }
}

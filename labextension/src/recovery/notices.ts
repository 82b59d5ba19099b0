import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

/** Tell of runs whose cells are not in the notebook. */
export function tellOfAbsent(
  trans: TranslationBundle,
  count: number,
  actions: { add: () => void; discard: () => void }
): string {
  return Notification.warning(
    trans._n(
      'A cell has run on this kernel that is not in the notebook: it was never saved. Its code and its outputs are kept.',
      '%1 cells have run on this kernel that are not in the notebook: they were never saved. Their code and their outputs are kept.',
      count,
      count
    ),
    {
      autoClose: false,
      actions: [
        {
          label: trans.__('Add to Notebook'),
          caption: trans.__('Add the code and the outputs at the end'),
          displayType: 'accent',
          callback: actions.add
        },
        {
          label: trans.__('Discard'),
          caption: trans.__('Forget the code and the outputs'),
          displayType: 'warn',
          callback: actions.discard
        }
      ]
    }
  );
}

/** Tell of requests that never reached the server. */
export function tellOfLost(
  trans: TranslationBundle,
  count: number,
  run: () => void
): string {
  return Notification.warning(
    trans._n(
      'The connection was lost before a cell was sent. It has not run.',
      'The connection was lost before %1 cells were sent. They have not run.',
      count,
      count
    ),
    {
      autoClose: false,
      actions: [
        {
          label: trans.__('Run Now'),
          displayType: 'accent',
          callback: run
        }
      ]
    }
  );
}

/** What a cell says about messages that could not be kept. */
export function droppedText(trans: TranslationBundle, count: number): string {
  return trans._n(
    '[One message of this cell is missing: there was too much output to keep all of it.]',
    '[%1 messages of this cell are missing: there was too much output to keep all of it.]',
    count,
    count
  );
}

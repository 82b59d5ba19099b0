/**
 * Snapshots as files: down from the server, and up to it.
 */
import { Notification } from '@jupyterlab/apputils';

import { RemoteKernelsError } from './errors';
import { asSentences, formatBytes } from './format';
import { LiveNotification } from './liveNotification';
import { confirmTrust, type ISnapshotDialogContext } from './snapshotDialogs';
import { snapshotTitle } from './snapshotTexts';
import type { ISnapshotDetails } from './stateApi';

/** How a file is called that holds a snapshot. */
const EXTENSION = '.jrksnap';

/** How long the news of a good end stays. */
const GOOD_NEWS_MS = 5000;

/** The reason code for a file that another server has signed. */
const UNTRUSTED = 'snapshot_untrusted';

/** Let the browser save what is at a URL; the server says under which name. */
export function download(url: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = '';
  document.body.appendChild(link);
  link.click();
  link.remove();
}

/** Ask for a file with a snapshot, and take it in. */
export async function uploadSnapshot(
  context: ISnapshotDialogContext
): Promise<void> {
  const file = await chooseFile();
  if (file) {
    await upload(context, file, false);
  }
}

/** Let the user choose a file; `null` when none was. */
function chooseFile(): Promise<File | null> {
  return new Promise(resolve => {
    const input = document.createElement('input');
    input.type = 'file';
    input.accept = EXTENSION;
    input.addEventListener('change', () => resolve(input.files?.[0] ?? null));
    input.addEventListener('cancel', () => resolve(null));
    input.click();
  });
}

async function upload(
  context: ISnapshotDialogContext,
  file: File,
  trust: boolean
): Promise<void> {
  const { remoteKernels, trans } = context;
  const notification = new LiveNotification();
  const closing = new AbortController();
  notification.say(
    {
      type: 'in-progress',
      message: trans.__('Uploading %1 · %2', file.name, formatBytes(file.size)),
      autoClose: false,
      actions: [{ label: trans.__('Cancel'), callback: () => closing.abort() }]
    },
    false
  );
  const finish = (
    type: Notification.TypeOptions,
    message: string,
    autoClose: number | false
  ): void => notification.say({ type, message, autoClose }, true);
  let taken: ISnapshotDetails;
  try {
    taken = await remoteKernels.snapshots.upload(file, trust, closing.signal);
  } catch (reason) {
    const error = RemoteKernelsError.from(reason);
    if (closing.signal.aborted) {
      finish(
        'info',
        trans.__('The file %1 was not uploaded', file.name),
        GOOD_NEWS_MS
      );
    } else if (error.reason === UNTRUSTED && !trust) {
      finish(
        'info',
        trans.__('The file %1 needs your trust', file.name),
        GOOD_NEWS_MS
      );
      if (await confirmTrust(file.name, trans)) {
        await upload(context, file, true);
      }
    } else {
      const what = trans.__('The file %1 was not uploaded', file.name);
      finish(
        'error',
        asSentences(`${what}: ${error.message}`, error.hint),
        false
      );
    }
    return;
  }
  const title = snapshotTitle(taken, remoteKernels, trans);
  finish('success', trans.__('%1 was uploaded', title), GOOD_NEWS_MS);
}

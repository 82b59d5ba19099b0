import { Dialog, InputDialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IRuntime } from './api';
import { formatBytes } from './format';
import type { IRemoteKernels } from './tokens';

/** Ask for a new name; `null` when the user gave up or changed nothing. */
export async function askName(
  runtime: IRuntime,
  trans: TranslationBundle
): Promise<string | null> {
  const { button, value } = await InputDialog.getText({
    title: trans.__('Rename Runtime'),
    label: trans.__('Name'),
    text: runtime.name,
    okLabel: trans.__('Rename'),
    required: true
  });
  const name = value?.trim();
  return button.accept && name && name !== runtime.name ? name : null;
}

/** Ask before a restart. `ask` is false when the user does not want to be asked again. */
export async function confirmRestart(
  runtime: IRuntime,
  trans: TranslationBundle
): Promise<{ accept: boolean; ask: boolean }> {
  const { button, isChecked } = await showDialog({
    title: trans.__('Restart Kernel?'),
    body: (
      <Losses
        runtime={runtime}
        trans={trans}
        text={trans.__(
          'Restart the kernel of %1? Its variables will be lost; the runtime stays.',
          runtime.name
        )}
      />
    ),
    checkbox: {
      label: trans.__('Do not ask me again.'),
      caption: trans.__('Remote kernels will be restarted without asking.')
    },
    buttons: [
      Dialog.cancelButton({
        ariaLabel: trans.__('Cancel restarting the kernel')
      }),
      Dialog.warnButton({
        label: trans.__('Restart'),
        ariaLabel: trans.__('Restart the kernel')
      })
    ]
  });
  return { accept: button.accept, ask: !isChecked };
}

/** Ask before runtimes are terminated. */
export async function confirmTerminate(
  runtimes: ReadonlyArray<IRuntime>,
  remoteKernels: IRemoteKernels,
  trans: TranslationBundle
): Promise<boolean> {
  const isOne = runtimes.length === 1;
  if (runtimes.some(({ phase }) => phase === 'paused')) {
    // Whether what was saved has a name decides what is lost.
    await remoteKernels.snapshots.refresh();
  }
  const { button } = await showDialog({
    title: isOne
      ? trans.__('Terminate Runtime?')
      : trans.__('Terminate %1 Runtimes?', runtimes.length),
    body: (
      <>
        {runtimes.map(runtime => (
          <Losses
            key={runtime.id}
            runtime={runtime}
            trans={trans}
            text={describeEnd(runtime, remoteKernels, trans)}
          />
        ))}
      </>
    ),
    buttons: [
      Dialog.cancelButton({ ariaLabel: trans.__('Cancel terminating') }),
      Dialog.warnButton({
        label: trans.__('Terminate'),
        ariaLabel: isOne
          ? trans.__('Terminate the runtime')
          : trans.__('Terminate %1 runtimes', runtimes.length)
      })
    ]
  });
  return button.accept;
}

/** Say what terminating a runtime costs. */
function describeEnd(
  runtime: IRuntime,
  { snapshots }: IRemoteKernels,
  trans: TranslationBundle
): string {
  const { name, phase, snapshot_id, snapshot_bytes } = runtime;
  if (phase === 'submitted' || phase === 'starting') {
    return trans.__('Give up the launch of %1?', name);
  }
  if (phase !== 'paused') {
    return trans.__(
      'Terminate %1? Its variables will be lost, and the compute that it runs on is given back.',
      name
    );
  }
  const kept = snapshots.value?.find(
    ({ id, automatic }) => id === snapshot_id && !automatic
  );
  return kept
    ? trans.__(
        'Terminate %1? Its variables stay in the snapshot %2.',
        name,
        kept.name ?? kept.id
      )
    : trans.__(
        'Terminate %1? It is paused, and nobody keeps what it has saved (%2) after that. To keep it, rename its snapshot first.',
        name,
        formatBytes(snapshot_bytes ?? 0)
      );
}

/** What an action costs: running work, and the documents that lose their kernel. */
function Losses(props: {
  runtime: IRuntime;
  trans: TranslationBundle;
  text: string;
}): React.JSX.Element {
  const { runtime, trans } = props;
  const isBusy =
    runtime.phase === 'running' && runtime.execution_state === 'busy';
  return (
    <div className="jp-RemoteKernels-losses">
      <p>{props.text}</p>
      {isBusy && (
        <p>{trans.__('It is running code now, which will be stopped.')}</p>
      )}
      {runtime.notebooks.length > 0 && (
        <>
          <p>
            {trans._n(
              'This document uses it; its saved content and its outputs stay:',
              'These documents use it; their saved content and their outputs stay:',
              runtime.notebooks.length
            )}
          </p>
          <ul>
            {runtime.notebooks.map(document => (
              <li key={document.session_id}>{document.path}</li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

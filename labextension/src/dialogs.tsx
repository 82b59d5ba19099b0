import { Dialog, InputDialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IRuntime } from './api';

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

/** Ask before a runtime is terminated. */
export async function confirmTerminate(
  runtime: IRuntime,
  trans: TranslationBundle
): Promise<boolean> {
  const isQueued =
    runtime.phase === 'submitted' || runtime.phase === 'starting';
  const { button } = await showDialog({
    title: trans.__('Terminate Runtime?'),
    body: (
      <Losses
        runtime={runtime}
        trans={trans}
        text={
          isQueued
            ? trans.__('Give up the launch of %1?', runtime.name)
            : trans.__(
                'Terminate %1? Its variables will be lost, and the compute that it runs on is given back.',
                runtime.name
              )
        }
      />
    ),
    buttons: [
      Dialog.cancelButton({
        ariaLabel: trans.__('Cancel terminating the runtime')
      }),
      Dialog.warnButton({
        label: trans.__('Terminate'),
        ariaLabel: trans.__('Terminate the runtime')
      })
    ]
  });
  return button.accept;
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

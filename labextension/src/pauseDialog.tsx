import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IRuntime } from './api';
import { RuntimeLosses } from './components/losses';
import type { IRemoteKernels } from './tokens';

interface IPauseDialogOptions {
  readonly remoteKernels: IRemoteKernels;
  /** One or several. */
  readonly runtimes: ReadonlyArray<IRuntime>;
  readonly trans: TranslationBundle;
}

/** Ask before a pause, and say what would not be there again after it. */
export async function confirmPause(
  options: IPauseDialogOptions
): Promise<boolean> {
  const { runtimes, trans } = options;
  const isOne = runtimes.length === 1;
  const { button } = await showDialog({
    title: isOne
      ? trans.__('Pause Kernel?')
      : trans.__('Pause %1 Kernels?', runtimes.length),
    body: <PauseReport {...options} />,
    buttons: [
      Dialog.cancelButton({ ariaLabel: trans.__('Cancel pausing') }),
      Dialog.okButton({
        label: trans.__('Pause'),
        ariaLabel: isOne
          ? trans.__('Pause the kernel of %1', runtimes[0].name)
          : trans.__('Pause %1 kernels', runtimes.length)
      })
    ]
  });
  return button.accept;
}

function PauseReport(props: IPauseDialogOptions): React.JSX.Element {
  const { remoteKernels, runtimes, trans } = props;
  const isOne = runtimes.length === 1;
  return (
    <div className="jp-RemoteKernels-losses">
      <p>
        {isOne
          ? trans.__(
              'Save the variables of %1 and give back the compute that it runs on? Its notebooks stay connected, and the next cell that is run brings everything back.',
              runtimes[0].name
            )
          : trans.__(
              'Save the variables of %1 kernels and give back the compute that they run on? Their notebooks stay connected, and the next cell that is run brings everything back.',
              runtimes.length
            )}
      </p>
      {runtimes.map(runtime => (
        <section key={runtime.id} aria-label={runtime.name}>
          {!isOne && <h3>{runtime.name}</h3>}
          <RuntimeLosses
            remoteKernels={remoteKernels}
            runtime={runtime}
            trans={trans}
            busyText={trans.__(
              'The kernel is running code. The pause begins when it is idle.'
            )}
          />
        </section>
      ))}
    </div>
  );
}

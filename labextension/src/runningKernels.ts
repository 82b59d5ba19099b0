import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { TranslationBundle } from '@jupyterlab/translation';

import { listKernels, type IKernelChoice } from './kernels';
import type { IRemoteKernels } from './tokens';

/** Where kernels are found. */
export interface IRunningKernels {
  readonly app: JupyterFrontEnd;
  readonly remoteKernels: IRemoteKernels;
}

/** Ask for what runs now: whoever chooses one wants no kernel that is gone. */
export async function findKernels(
  { app, remoteKernels }: IRunningKernels,
  trans: TranslationBundle
): Promise<IKernelChoice[]> {
  const { kernels, sessions, kernelspecs } = app.serviceManager;
  await Promise.all([
    remoteKernels.refresh(),
    kernels.refreshRunning(),
    sessions.refreshRunning()
  ]);
  return listKernels(
    {
      runtimes: remoteKernels.runtimes,
      kernels: kernels.running(),
      sessions: sessions.running(),
      specName: name =>
        kernelspecs.specs?.kernelspecs[name]?.display_name ?? name
    },
    trans
  );
}

import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { SectionView } from '../components/section';
import { Usage } from '../components/usage';
import { IKernelsPanel } from '../panel';
import { IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

/**
 * Adds to the panel what has been used of the budget.
 */
export const usagePlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:usage',
  description: 'Shows the credits that runtimes have used.',
  autoStart: true,
  requires: [IRemoteKernels, IKernelsPanel],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    panel: IKernelsPanel,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const { commands } = app;
    panel.addSection({
      id: 'usage',
      title: trans.__('Usage'),
      content: new SectionView(
        { remoteKernels, commands, trans },
        remoteKernels.usage,
        Usage
      ),
      rank: 30,
      isCollapsed: true
    });
  }
};

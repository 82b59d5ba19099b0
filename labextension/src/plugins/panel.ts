import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import {
  CommandToolbarButton,
  PanelWithToolbar,
  SidePanel
} from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import type { AccordionPanel } from '@lumino/widgets';

import type { IViewContext } from '../components/common';
import { EnvironmentsView } from '../components/environments';
import { RuntimesView } from '../components/runtimes';
import { remoteKernelsIcon } from '../icons';
import { CommandIDs, IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

const PANEL_ID = 'jp-RemoteKernels-panel';

/** After Running Terminals and Kernels, before the extension manager. */
const PANEL_RANK = 250;

/** The side panel: runtimes above, environments below. */
class KernelsPanel extends SidePanel {
  constructor(context: IViewContext, translator: ITranslator) {
    super({ translator });
    const { commands, remoteKernels, trans } = context;
    this._remoteKernels = remoteKernels;
    this.id = PANEL_ID;
    this.addClass('jp-RemoteKernels-panel');
    this.title.icon = remoteKernelsIcon;
    this.title.caption = trans.__('Remote Kernels');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Remote Kernels'));

    this._runtimes = new RuntimesView(context);
    const runtimes = new PanelWithToolbar();
    runtimes.id = `${PANEL_ID}-runtimes`;
    runtimes.title.label = trans.__('Runtimes');
    runtimes.addWidget(this._runtimes);
    runtimes.toolbar.addItem(
      'refresh',
      new CommandToolbarButton({
        commands,
        id: CommandIDs.refresh,
        label: '',
        caption: trans.__('Refresh Remote Kernels')
      })
    );

    const environments = new PanelWithToolbar();
    environments.id = `${PANEL_ID}-environments`;
    environments.title.label = trans.__('Environments');
    environments.addWidget(new EnvironmentsView(context));

    this.addWidget(runtimes);
    this.addWidget(environments);
  }

  /** Bring a runtime into view and put the focus on it. */
  reveal(id: string): void {
    this._runtimes.reveal(id);
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    // The list that grows gets the larger part, until the user moves the border.
    (this.content as AccordionPanel).setRelativeSizes([2, 1]);
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    // Whoever opens the panel wants the figures of now.
    if (this._remoteKernels.status !== 'loading') {
      void this._remoteKernels.refresh();
    }
  }

  private readonly _remoteKernels: IRemoteKernels;
  private readonly _runtimes: RuntimesView;
}

/**
 * Adds the Kernels panel to the left side.
 */
export const panelPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:panel',
  description: 'Adds the panel of runtimes and environments.',
  autoStart: true,
  requires: [IRemoteKernels],
  optional: [ICommandPalette, ILayoutRestorer, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    translator: ITranslator | null
  ): void => {
    const { commands, shell } = app;
    const given = translator ?? nullTranslator;
    const trans = given.load(TRANSLATION_DOMAIN);
    const panel = new KernelsPanel({ remoteKernels, commands, trans }, given);
    shell.add(panel, 'left', { rank: PANEL_RANK, type: 'Remote Kernels' });
    restorer?.add(panel, PANEL_ID);

    commands.addCommand(CommandIDs.openPanel, {
      label: trans.__('Show Remote Kernels'),
      caption: trans.__('Show the panel of runtimes and environments'),
      icon: remoteKernelsIcon,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            runtime_id: {
              type: 'string',
              description: 'The runtime to put the focus on.'
            }
          }
        }
      },
      execute: args => {
        shell.activateById(PANEL_ID);
        if (args.runtime_id) {
          panel.reveal(args.runtime_id as string);
        }
      }
    });
    palette?.addItem({
      command: CommandIDs.openPanel,
      category: trans.__('Remote Kernels')
    });
  }
};

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
import { RuntimesView } from '../components/runtimes';
import { remoteKernelsIcon } from '../icons';
import { IKernelsPanel, type IPanelSection } from '../panel';
import { CommandIDs, IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

const PANEL_ID = 'jp-RemoteKernels-panel';

/** What an unfolded section needs to be of any use, in pixels. */
const LEAST_HEIGHT = 120;

/** After Running Terminals and Kernels, before the extension manager. */
const PANEL_RANK = 250;

/** The side panel: runtimes above, what plugins add below. */
class KernelsPanel extends SidePanel implements IKernelsPanel {
  constructor(context: IViewContext, translator: ITranslator) {
    super({ translator });
    const { remoteKernels, trans } = context;
    this._context = context;
    this._remoteKernels = remoteKernels;
    this.id = PANEL_ID;
    this.addClass('jp-RemoteKernels-panel');
    this.title.icon = remoteKernelsIcon;
    this.title.caption = trans.__('Remote Kernels');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Remote Kernels'));
    this._accordion.expansionToggled.connect(this._onToggled, this);
    this._runtimes = new RuntimesView(context);
    this.addSection({
      id: 'runtimes',
      title: trans.__('Runtimes'),
      content: this._runtimes,
      rank: 0,
      actions: [
        {
          command: CommandIDs.refresh,
          caption: trans.__('Refresh Remote Kernels')
        }
      ]
    });
  }

  addSection(section: IPanelSection): void {
    const { commands } = this._context;
    const panel = new PanelWithToolbar();
    panel.id = `${PANEL_ID}-${section.id}`;
    panel.title.label = section.title;
    panel.addWidget(section.content);
    for (const { command: id, caption } of section.actions ?? []) {
      const button = new CommandToolbarButton({
        commands,
        id,
        label: '',
        caption
      });
      panel.toolbar.addItem(id, button);
    }
    const after = this._sections.findIndex(({ rank }) => rank > section.rank);
    const index = after === -1 ? this._sections.length : after;
    this._sections.splice(index, 0, section);
    this.insertWidget(index, panel);
    if (section.isCollapsed) {
      this._accordion.collapse(index);
    }
  }

  /** Bring a runtime into view and put the focus on it. */
  reveal(id: string): void {
    this._runtimes.reveal(id);
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._share();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    // Whoever opens the panel wants the figures of now.
    if (this._remoteKernels.status !== 'loading') {
      void this._remoteKernels.refresh();
    }
  }

  private get _accordion(): AccordionPanel {
    return this.content as AccordionPanel;
  }

  /** A section that is unfolded for the first time would get no height at all. */
  private _onToggled(_: AccordionPanel, index: number): void {
    const widget = this._accordion.widgets[index];
    const size = this._accordion.relativeSizes()[index] ?? 0;
    const height = size * this._accordion.node.clientHeight;
    if (this.isAttached && !widget.isHidden && height < LEAST_HEIGHT) {
      this._share();
    }
  }

  /** Share the height: the list that grows gets the larger part, until the user moves a border. */
  private _share(): void {
    this._accordion.setRelativeSizes(
      this._sections.map(({ rank }, index) =>
        this._accordion.widgets[index].isHidden ? 0 : rank === 0 ? 2 : 1.5
      )
    );
  }

  private readonly _context: IViewContext;
  private readonly _sections: IPanelSection[] = [];
  private readonly _remoteKernels: IRemoteKernels;
  private readonly _runtimes: RuntimesView;
}

/**
 * Adds the Kernels panel to the left side.
 */
export const panelPlugin: JupyterFrontEndPlugin<IKernelsPanel> = {
  id: 'jupyter-remote-kernels:panel',
  description: 'Adds the panel of runtimes.',
  autoStart: true,
  requires: [IRemoteKernels],
  optional: [ICommandPalette, ILayoutRestorer, ITranslator],
  provides: IKernelsPanel,
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    translator: ITranslator | null
  ): IKernelsPanel => {
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
    return panel;
  }
};

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import {
  ICommandPalette,
  MainAreaWidget,
  WidgetTracker
} from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { refreshIcon, ToolbarButton } from '@jupyterlab/ui-components';

import { LogView } from '../components/logs';
import { logIcon } from '../icons';
import { resolveRuntime, RUNTIME_ARGS } from '../resolve';
import { CommandIDs, IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

/**
 * Adds a document-like view of a runtime's log.
 */
export const logsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:logs',
  description: 'Shows the log of a runtime in the main area.',
  autoStart: true,
  requires: [IRemoteKernels],
  optional: [ICommandPalette, ILayoutRestorer, INotebookTracker, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    notebooks: INotebookTracker | null,
    translator: ITranslator | null
  ): void => {
    const { commands, shell } = app;
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const tracker = new WidgetTracker<MainAreaWidget<LogView>>({
      namespace: 'jupyter-remote-kernels-logs'
    });
    const runtimeIds = new WeakMap<object, string>();

    const createWidget = (id: string): MainAreaWidget<LogView> => {
      const content = new LogView({
        read: (offset, limit) => remoteKernels.getLogs(id, offset, limit),
        trans
      });
      const widget = new MainAreaWidget({ content });
      widget.id = `jp-remote-kernels-log-${id}`;
      widget.title.icon = logIcon;
      widget.title.closable = true;
      widget.toolbar.addItem(
        'refresh',
        new ToolbarButton({
          icon: refreshIcon,
          tooltip: trans.__('Read what was written since'),
          onClick: () => void content.refresh()
        })
      );
      const updateTitle = (): void => {
        const name = remoteKernels.find(id)?.name;
        if (name) {
          widget.title.label = trans.__('Log: %1', name);
        } else if (!widget.title.label) {
          widget.title.label = trans.__('Kernel Log');
        }
      };
      remoteKernels.changed.connect(updateTitle);
      widget.disposed.connect(() =>
        remoteKernels.changed.disconnect(updateTitle)
      );
      updateTitle();
      runtimeIds.set(widget, id);
      return widget;
    };

    const sources = { app, remoteKernels, notebooks };

    commands.addCommand(CommandIDs.showLogs, {
      label: args =>
        args.isKernelMenu ? trans.__('Kernel Logs') : trans.__('Show Log'),
      caption: trans.__('Show what the kernel and its engine have written'),
      icon: logIcon,
      isEnabled: args => !!args.runtime_id || !!resolveRuntime(sources, args),
      describedBy: {
        args: {
          type: 'object',
          properties: {
            ...RUNTIME_ARGS,
            isKernelMenu: {
              type: 'boolean',
              description: 'Whether the label is for a menu about kernels.'
            }
          }
        }
      },
      execute: async args => {
        // A layout that is restored names a runtime before the model has read it.
        const id =
          (args.runtime_id as string | undefined) ??
          resolveRuntime(sources, args)?.id;
        if (!id) {
          return;
        }
        let widget = tracker.find(item => runtimeIds.get(item) === id);
        if (widget) {
          void widget.content.refresh();
        } else {
          widget = createWidget(id);
          shell.add(widget, 'main');
          await tracker.add(widget);
        }
        shell.activateById(widget.id);
      }
    });
    palette?.addItem({
      command: CommandIDs.showLogs,
      category: trans.__('Remote Kernels')
    });
    void restorer?.restore(tracker, {
      command: CommandIDs.showLogs,
      args: widget => ({ runtime_id: runtimeIds.get(widget) ?? '' }),
      name: widget => runtimeIds.get(widget) ?? ''
    });
  }
};

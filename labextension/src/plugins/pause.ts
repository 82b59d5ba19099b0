import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';

import type { IRuntime } from '../api';
import { isLive } from '../format';
import { pauseIcon, resumeIcon } from '../icons';
import { runOperation } from '../operationProgress';
import { confirmPause } from '../pauseDialog';
import {
  resolveRuntime,
  resolveRuntimes,
  RUNTIME_ARGS,
  RUNTIMES_ARGS,
  type IRuntimeSources
} from '../resolve';
import { CommandIDs, IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

/**
 * Adds the commands that pause a runtime and resume it.
 */
export const pausePlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:pause',
  description: 'Pauses remote kernels, and resumes them.',
  autoStart: true,
  requires: [IRemoteKernels],
  optional: [ICommandPalette, INotebookTracker, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    palette: ICommandPalette | null,
    notebooks: INotebookTracker | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const context = { app, remoteKernels, notebooks, trans };
    addPause(context);
    addResume(context);
    for (const command of [CommandIDs.pause, CommandIDs.resume]) {
      palette?.addItem({ command, category: trans.__('Remote Kernels') });
    }
  }
};

interface IPauseContext extends IRuntimeSources {
  readonly trans: TranslationBundle;
}

function addPause(context: IPauseContext): void {
  const { app, remoteKernels, trans } = context;
  app.commands.addCommand(CommandIDs.pause, {
    label: trans.__('Pause Kernel…'),
    caption: trans.__('Save the variables and give the compute back'),
    icon: pauseIcon,
    isEnabled: args => resolveRuntimes(context, args).some(isLive),
    // In a row there is one of both at a time; menus show both, of which one can be used.
    isVisible: args => !args.runtime_id || !isPaused(context, args.runtime_id),
    describedBy: { args: { type: 'object', properties: RUNTIMES_ARGS } },
    execute: async args => {
      const runtimes = resolveRuntimes(context, args).filter(isLive);
      if (
        runtimes.length > 0 &&
        (await confirmPause({ remoteKernels, runtimes, trans }))
      ) {
        await Promise.all(runtimes.map(runtime => pause(context, runtime)));
      }
    }
  });
}

function pause(
  { remoteKernels, trans }: IPauseContext,
  { id, name }: IRuntime
): Promise<void> {
  const texts = {
    running: trans.__('Pausing %1', name),
    succeeded: trans.__('%1 is paused', name),
    failed: trans.__('%1 was not paused', name),
    cancelled: trans.__('%1 goes on running', name)
  };
  return runOperation({ remoteKernels, trans }, texts, () =>
    remoteKernels.pause(id)
  );
}

function addResume(context: IPauseContext): void {
  const { app, remoteKernels, trans } = context;
  app.commands.addCommand(CommandIDs.resume, {
    label: trans.__('Resume Kernel'),
    caption: trans.__('Start the kernel again with the variables that it had'),
    icon: resumeIcon,
    isEnabled: args => resolveRuntime(context, args)?.phase === 'paused',
    isVisible: args => !args.runtime_id || isPaused(context, args.runtime_id),
    describedBy: { args: { type: 'object', properties: RUNTIME_ARGS } },
    execute: async args => {
      const runtime = resolveRuntime(context, args);
      if (runtime) {
        const texts = {
          running: trans.__('Resuming %1', runtime.name),
          succeeded: trans.__('%1 is running again', runtime.name),
          failed: trans.__('%1 was not resumed', runtime.name),
          cancelled: trans.__('%1 stays paused', runtime.name)
        };
        await runOperation({ remoteKernels, trans }, texts, () =>
          remoteKernels.resume(runtime.id)
        );
      }
    }
  });
}

function isPaused(context: IPauseContext, id: unknown): boolean {
  const runtime: IRuntime | undefined =
    typeof id === 'string' ? context.remoteKernels.find(id) : undefined;
  return runtime?.phase === 'paused';
}

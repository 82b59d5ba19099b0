import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';

import { formatDuration } from '../amounts';
import type { IRuntime } from '../api';
import { formatTime } from '../format';
import {
  extensionSteps,
  IReservations,
  timeLeftMs,
  type IReservationChange
} from '../reservations';
import { CommandIDs, IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

/**
 * Notifies of reservations that are about to end: once per runtime and warning.
 */
export const warningsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:reservation-warnings',
  description: 'Notifies the user of reservations that are about to end.',
  autoStart: true,
  requires: [IRemoteKernels, IReservations],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    reservations: IReservations,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const shown = new Map<string, string>();
    const onChanged = (_: unknown, change: IReservationChange): void => {
      const { runtimeId, warning_s } = change;
      const before = shown.get(runtimeId);
      shown.delete(runtimeId);
      if (before) {
        Notification.dismiss(before);
      }
      const runtime = remoteKernels.find(runtimeId);
      if (warning_s !== null && runtime) {
        shown.set(
          runtimeId,
          warn(
            { commands: app.commands, remoteKernels, trans },
            runtime,
            warning_s
          )
        );
      }
    };
    // What is due already when the page is loaded is told once the page is there.
    void app.restored.then(() => {
      reservations.changed.connect(onChanged);
      for (const { id } of remoteKernels.runtimes) {
        const warning_s = reservations.warningOf(id);
        if (warning_s !== null) {
          onChanged(null, { runtimeId: id, warning_s });
        }
      }
    });
  }
};

function warn(
  context: {
    commands: CommandRegistry;
    remoteKernels: IRemoteKernels;
    trans: TranslationBundle;
  },
  runtime: IRuntime,
  warning_s: number
): string {
  const { commands, remoteKernels, trans } = context;
  const environment = remoteKernels.findEnvironment(runtime.environment);
  const [usual_s] = extensionSteps(runtime, environment);
  const extend = (args: { by_s?: number }): void => {
    void commands.execute(CommandIDs.extend, {
      runtime_id: runtime.id,
      ...args
    });
  };
  const actions: Notification.IAction[] =
    usual_s === undefined
      ? []
      : [
          {
            label: trans.__('Extend by %1', formatDuration(usual_s, trans)),
            displayType: 'accent',
            callback: () => extend({ by_s: usual_s })
          }
        ];
  if (commands.hasCommand(CommandIDs.pause)) {
    actions.push({
      label: trans.__('Pause Now…'),
      caption: trans.__('Save the variables and give the compute back'),
      callback: () =>
        void commands.execute(CommandIDs.pause, { runtime_id: runtime.id })
    });
  }
  actions.push({
    label: trans.__('Other…'),
    caption: trans.__('Choose another end of the reservation'),
    callback: () => extend({})
  });
  const left_s = (timeLeftMs(runtime, remoteKernels.clock.now()) ?? 0) / 1000;
  // A timer may be a little late; only who comes late to the page is told another number.
  const said_s = warning_s - left_s < 5 ? warning_s : left_s;
  return Notification.emit(
    describeEnd(runtime, formatDuration(said_s, trans), trans),
    'warning',
    { autoClose: false, actions }
  );
}

function describeEnd(
  runtime: IRuntime,
  left: string,
  trans: TranslationBundle
): string {
  const end = formatTime(runtime.expires_at ?? '');
  return runtime.lease_policy === 'pause'
    ? trans.__(
        'The reservation of %1 ends in %2. It is paused before %3.',
        runtime.name,
        left,
        end
      )
    : trans.__(
        '%1 ends in %2. Its variables are lost at %3.',
        runtime.name,
        left,
        end
      );
}

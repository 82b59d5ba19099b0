import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import type { Event, Kernel, Session } from '@jupyterlab/services';
import { Poll } from '@lumino/polling';

import { ServerClock } from '../clock';
import { RemoteKernels, RUNTIME_EVENT_SCHEMA } from '../model';
import { createApi } from '../rest';
import { IRemoteKernels } from '../tokens';

/** Events tell of every change; this is for the ones that got lost on the way. */
const POLL_MS = 60_000;
const MAX_BACKOFF_MS = 300_000;

/**
 * Provides the model, and keeps it up to date once the application is there.
 */
export const modelPlugin: JupyterFrontEndPlugin<IRemoteKernels> = {
  id: 'jupyter-remote-kernels:model',
  description: 'Provides the runtimes and environments of remote kernels.',
  autoStart: true,
  provides: IRemoteKernels,
  activate: (app: JupyterFrontEnd): IRemoteKernels => {
    const { serviceManager } = app;
    const clock = new ServerClock();
    const api = createApi(serviceManager.serverSettings, clock);
    const model = new RemoteKernels(api, clock);
    const poll = new Poll({
      name: 'jupyter-remote-kernels:model',
      auto: false,
      factory: async () => {
        await model.refresh();
        // The model never rejects; the poll has to see an error to back off.
        if (model.error) {
          throw model.error;
        }
      },
      frequency: { interval: POLL_MS, backoff: true, max: MAX_BACKOFF_MS },
      standby: 'when-hidden'
    });

    const onEvent = (_: unknown, event: Event.Emission): void => {
      if (event.schema_id === RUNTIME_EVENT_SCHEMA) {
        takeEvent(model, event);
      }
    };
    // JupyterLab asks for the running kernels anyway; what they show costs us nothing.
    const onRunningChanged = (_: unknown, kernels: Kernel.IModel[]): void => {
      for (const { id, execution_state } of kernels) {
        if (execution_state === 'idle' || execution_state === 'busy') {
          model.observe(id, execution_state);
        }
      }
    };

    const documents = new Map<string, string>();
    // A document that is opened, moved or closed changes what uses its runtime.
    const onSessionsChanged = (
      _: unknown,
      sessions: Session.IModel[]
    ): void => {
      const now = new Map<string, string>();
      for (const { kernel, path } of sessions) {
        if (kernel) {
          now.set(kernel.id, `${now.get(kernel.id) ?? ''}${path}\n`);
        }
      }
      for (const id of new Set([...documents.keys(), ...now.keys()])) {
        if (model.find(id) && documents.get(id) !== now.get(id)) {
          model.invalidate(id);
        }
      }
      documents.clear();
      now.forEach((paths, id) => documents.set(id, paths));
    };

    void app.restored.then(() => {
      serviceManager.events.stream.connect(onEvent);
      serviceManager.kernels.runningChanged.connect(onRunningChanged);
      serviceManager.sessions.runningChanged.connect(onSessionsChanged);
      void poll.start();
    });
    return model;
  }
};

/** Read again what an event is about. */
function takeEvent(model: RemoteKernels, event: Event.Emission): void {
  const { action, runtime_id, warning_s } = event;
  if (action === 'environments') {
    void model.refreshEnvironments();
    return;
  }
  if (action === 'volumes') {
    model.volumes.invalidate();
    return;
  }
  if (action === 'snapshots') {
    model.snapshots.invalidate();
    return;
  }
  if (typeof runtime_id !== 'string' || !runtime_id) {
    return;
  }
  const isOfOperation = action === 'operation' || action === 'progress';
  if (isOfOperation && !model.find(runtime_id)) {
    // Variables go to ordinary kernels, too: there is no runtime to read.
    model.announce();
    return;
  }
  if (typeof warning_s === 'number') {
    model.warnOfLease({ runtimeId: runtime_id, warning_s });
  }
  if (action === 'phase' || action === 'lease') {
    model.usage.invalidate();
    // A pause takes one, and what nobody needs any more goes.
    model.snapshots.invalidate();
  }
  model.invalidate(runtime_id);
}

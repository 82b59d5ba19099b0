import type { ISessionContext } from '@jupyterlab/apputils';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { ExecutionState, IRuntime } from '../api';
import { describeBadge } from '../format';
import { stateIcons } from '../icons';
import { CommandIDs } from '../tokens';
import type { IViewContext } from './common';

const KERNEL_PREFIX = 'remote-';

/** The item in a notebook's toolbar that says how its remote kernel is. */
export class RuntimeBadge extends ReactWidget {
  constructor(context: IViewContext, sessionContext: ISessionContext) {
    super();
    this._context = context;
    this._sessionContext = sessionContext;
    this.addClass('jp-RemoteKernels-badgeItem');
    sessionContext.kernelChanged.connect(this._onKernelChanged, this);
    sessionContext.statusChanged.connect(this._onStatusChanged, this);
    context.remoteKernels.changed.connect(this._updateVisibility, this);
    this._onKernelChanged();
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    const context = this._sessionContext;
    context.kernelChanged.disconnect(this._onKernelChanged, this);
    context.statusChanged.disconnect(this._onStatusChanged, this);
    this._context.remoteKernels.changed.disconnect(
      this._updateVisibility,
      this
    );
    super.dispose();
  }

  protected override render(): React.JSX.Element {
    return (
      <UseSignal signal={this._context.remoteKernels.changed}>
        {() => {
          const runtime = this._runtime;
          return runtime ? (
            <Badge context={this._context} runtime={runtime} />
          ) : null;
        }}
      </UseSignal>
    );
  }

  private get _runtime(): IRuntime | undefined {
    const id = this._sessionContext.session?.kernel?.id;
    return id ? this._context.remoteKernels.find(id) : undefined;
  }

  private _onKernelChanged(): void {
    const kernel = this._sessionContext.session?.kernel;
    if (kernel?.name.startsWith(KERNEL_PREFIX)) {
      this._context.remoteKernels.invalidate(kernel.id);
    }
    this._updateVisibility();
    this.update();
  }

  private _onStatusChanged(): void {
    const kernel = this._sessionContext.session?.kernel;
    if (kernel && isExecutionState(kernel.status)) {
      this._context.remoteKernels.observe(kernel.id, kernel.status);
    }
  }

  private _updateVisibility(): void {
    this.setHidden(!this._runtime);
  }

  private readonly _context: IViewContext;
  private readonly _sessionContext: ISessionContext;
}

function isExecutionState(status: string): status is ExecutionState {
  return status === 'idle' || status === 'busy';
}

function Badge(props: {
  context: IViewContext;
  runtime: IRuntime;
}): React.JSX.Element {
  const { commands, trans } = props.context;
  const { runtime } = props;
  const state = describeBadge(runtime, trans);
  const Icon = stateIcons[state.kind].react;
  const isQueued = state.kind === 'queued';
  const title = [
    runtime.name,
    isQueued ? '' : state.detail,
    trans.__('Show in the Kernels panel')
  ]
    .filter(text => !!text)
    .join('\n');
  return (
    <button
      type="button"
      className="jp-RemoteKernels-badge"
      data-state={state.kind}
      title={title}
      aria-label={trans.__('Remote kernel: %1', state.label)}
      onClick={() =>
        void commands.execute(CommandIDs.openPanel, { runtime_id: runtime.id })
      }
    >
      <Icon tag="span" className="jp-RemoteKernels-icon" />
      <span aria-live="polite">{state.label}</span>
    </button>
  );
}

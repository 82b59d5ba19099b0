import type { ISessionContext } from '@jupyterlab/apputils';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import { formatCountdown } from '../amounts';
import type { ExecutionState, IRuntime } from '../api';
import { asSentences, describeBadge, formatTime } from '../format';
import { stateIcons, timeIcon, timeShortIcon } from '../icons';
import { WARNINGS_S } from '../reservations';
import { CommandIDs } from '../tokens';
import type { IViewContext } from './common';
import { useProgress, useTimeLeft } from './countdown';
import { openMenu } from './menu';

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

/** What can be done from the badge. */
const MENU = [
  CommandIDs.openPanel,
  CommandIDs.extend,
  null,
  CommandIDs.interrupt,
  CommandIDs.restart,
  CommandIDs.showLogs,
  null,
  CommandIDs.pause,
  CommandIDs.resume,
  CommandIDs.takeSnapshot,
  CommandIDs.transfer,
  CommandIDs.move,
  null,
  CommandIDs.terminate
];

function Badge(props: {
  context: IViewContext;
  runtime: IRuntime;
}): React.JSX.Element {
  const { remoteKernels, commands, trans } = props.context;
  const { runtime } = props;
  const state = describeBadge(runtime, trans);
  const left = useTimeLeft(runtime, remoteKernels.clock);
  const progress = useProgress(runtime, remoteKernels.clock, trans);
  const isShort = left !== null && left <= WARNINGS_S[0] * 1000;
  const StateIcon = stateIcons[state.kind].react;
  const TimeIcon = isShort ? timeShortIcon : timeIcon;
  const ended =
    state.kind === 'failed' ? remoteKernels.lastExit(runtime.id) : null;
  const isQueued = state.kind === 'queued';
  const title = [
    runtime.name,
    isQueued ? '' : state.detail,
    ended ? asSentences(ended.message, ended.hint) : '',
    runtime.expires_at && left !== null
      ? trans.__('Ends at %1', formatTime(runtime.expires_at))
      : ''
  ]
    .filter(text => !!text)
    .join('\n');
  return (
    <button
      type="button"
      className="jp-RemoteKernels-badge"
      data-state={state.kind}
      data-short={isShort || undefined}
      title={title}
      aria-haspopup="menu"
      aria-label={trans.__('Remote kernel: %1', state.label)}
      onClick={event =>
        openMenu(
          commands,
          MENU,
          { runtime_id: runtime.id },
          event.currentTarget
        )
      }
    >
      <StateIcon tag="span" className="jp-RemoteKernels-icon" />
      <span className="jp-RemoteKernels-badgeState" aria-live="polite">
        {progress ? `${state.label};` : state.label}
      </span>
      {progress && (
        <span className="jp-RemoteKernels-badgeProgress" aria-live="off">
          {progress}
        </span>
      )}
      {left !== null && (
        <span className="jp-RemoteKernels-badgeTime">
          <TimeIcon.react tag="span" className="jp-RemoteKernels-icon" />
          <span
            className="jp-RemoteKernels-countdown"
            role="timer"
            aria-live="off"
          >
            {trans.__('%1 left', formatCountdown(left, trans))}
          </span>
        </span>
      )}
    </button>
  );
}

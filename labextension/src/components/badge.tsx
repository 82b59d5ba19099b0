import type { ISessionContext } from '@jupyterlab/apputils';
import { MenuSvg, ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';

import { formatCountdown } from '../amounts';
import type { ExecutionState, IRuntime } from '../api';
import { describeBadge, formatTime } from '../format';
import { stateIcons, timeIcon, timeShortIcon } from '../icons';
import { WARNINGS_S } from '../reservations';
import { CommandIDs } from '../tokens';
import type { IViewContext } from './common';
import { useTimeLeft } from './countdown';

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
  const isShort = left !== null && left <= WARNINGS_S[0] * 1000;
  const StateIcon = stateIcons[state.kind].react;
  const TimeIcon = isShort ? timeShortIcon : timeIcon;
  const isQueued = state.kind === 'queued';
  const title = [
    runtime.name,
    isQueued ? '' : state.detail,
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
      onClick={event => openMenu(commands, runtime, event.currentTarget)}
    >
      <StateIcon tag="span" className="jp-RemoteKernels-icon" />
      <span className="jp-RemoteKernels-badgeState" aria-live="polite">
        {state.label}
      </span>
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

/** Open the menu of the badge below it; the focus comes back when it is closed. */
function openMenu(
  commands: CommandRegistry,
  runtime: IRuntime,
  badge: HTMLElement
): void {
  const menu = new MenuSvg({ commands });
  menu.addClass('jp-ThemedContainer');
  for (const command of MENU) {
    if (command === null) {
      menu.addItem({ type: 'separator' });
    } else if (commands.hasCommand(command)) {
      menu.addItem({ command, args: { runtime_id: runtime.id } });
    }
  }
  menu.aboutToClose.connect(() => {
    // The toolbar sends a focus that comes from elsewhere to the item that had it last.
    (document.activeElement as HTMLElement | null)?.blur();
    badge.focus();
  });
  // Only after the command was found: an item that is chosen closes the menu first.
  menu.aboutToClose.connect(() => requestAnimationFrame(() => menu.dispose()));
  const { left, bottom } = badge.getBoundingClientRect();
  menu.open(left, bottom);
  menu.activateNextItem();
}

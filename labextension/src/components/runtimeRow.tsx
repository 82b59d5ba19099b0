import { closeIcon, ellipsesIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { formatCountdown, formatCredits } from '../amounts';
import type { IRuntime } from '../api';
import {
  asSentences,
  describeState,
  describeUsage,
  formatTime,
  memoryShare,
  type IStateText
} from '../format';
import { stateIcons } from '../icons';
import { WARNINGS_S } from '../reservations';
import { CommandIDs } from '../tokens';
import { CommandButton, type IViewContext } from './common';
import { useProgress, useTimeLeft } from './countdown';
import { Documents } from './documents';
import { openMenu } from './menu';

/** The class that context menus and shortcuts select a row by. */
export const RUNTIME_CLASS = 'jp-RemoteKernels-runtime';

/** Those at hand. */
const ROW_ACTIONS = [
  CommandIDs.openNotebook,
  CommandIDs.interrupt,
  CommandIDs.restart,
  CommandIDs.pause,
  CommandIDs.resume,
  CommandIDs.terminate
];

/** The others, in a menu. */
const MORE_ACTIONS = [
  CommandIDs.extend,
  null,
  CommandIDs.takeSnapshot,
  CommandIDs.transfer,
  CommandIDs.move,
  null,
  CommandIDs.showLogs,
  CommandIDs.rename
];

interface IRowProps {
  readonly context: IViewContext;
  readonly runtime: IRuntime;
  readonly isCurrent: boolean;
  readonly isSelected: boolean;
  readonly onFocus: () => void;
  readonly onSelect: (isRange: boolean) => void;
}

/** A runtime in the list of the panel, with all that is known and can be done. */
export function RuntimeRow(props: IRowProps): React.JSX.Element {
  const { runtime, isCurrent, isSelected, onSelect } = props;
  const { commands, trans } = props.context;
  const state = describeState(runtime, trans);
  const args = { runtime_id: runtime.id };
  const tabIndex = isCurrent ? 0 : -1;
  return (
    <li
      className={`jp-RemoteKernels-row ${RUNTIME_CLASS}`}
      data-runtime-id={runtime.id}
      data-state={state.kind}
      data-selected={isSelected || undefined}
      tabIndex={tabIndex}
      aria-label={[
        runtime.name,
        runtime.environment_display_name,
        state.label,
        state.detail,
        isSelected ? trans.__('selected') : ''
      ]
        .filter(text => !!text)
        .join(', ')}
      onFocus={props.onFocus}
      onClick={event => {
        if (isForRow(event) && (event.ctrlKey || event.metaKey)) {
          onSelect(false);
        } else if (isForRow(event) && event.shiftKey) {
          onSelect(true);
        }
      }}
      onDoubleClick={() => void commands.execute(CommandIDs.openNotebook, args)}
      onKeyDown={event => {
        if (event.target !== event.currentTarget) {
          return;
        }
        if (event.key === 'Enter') {
          event.preventDefault();
          void commands.execute(CommandIDs.openNotebook, args);
        } else if (event.key === ' ') {
          event.preventDefault();
          onSelect(false);
        }
      }}
    >
      <RowMark {...props} state={state} />
      <div className="jp-RemoteKernels-body">
        <div className="jp-RemoteKernels-title" title={runtime.name}>
          {runtime.name}
        </div>
        <StateLine context={props.context} runtime={runtime} state={state} />
        <ReservationLine context={props.context} runtime={runtime} />
        <UsageLine context={props.context} runtime={runtime} />
        <ExitNotice
          context={props.context}
          runtime={runtime}
          tabIndex={tabIndex}
        />
        <Documents
          context={props.context}
          runtime={runtime}
          tabIndex={tabIndex}
        />
      </div>
      <RowActions
        context={props.context}
        runtime={runtime}
        tabIndex={tabIndex}
      />
    </li>
  );
}

/** Whether a click was for the row and not for a button or a box in it. */
function isForRow(event: React.MouseEvent): boolean {
  return !(event.target as HTMLElement).closest('button, input');
}

/** The state as an icon, and below it the box that selects the row. */
function RowMark(props: IRowProps & { state: IStateText }): React.JSX.Element {
  const { runtime, isSelected, onSelect, state } = props;
  const { trans } = props.context;
  const Icon = stateIcons[state.kind].react;
  return (
    <div className="jp-RemoteKernels-mark">
      <Icon tag="span" className="jp-RemoteKernels-icon" title={state.label} />
      <input
        type="checkbox"
        aria-label={trans.__('Select %1', runtime.name)}
        title={trans.__('Select')}
        // The row itself has the space key for it.
        tabIndex={-1}
        checked={isSelected}
        onChange={event =>
          onSelect((event.nativeEvent as PointerEvent).shiftKey)
        }
      />
    </div>
  );
}

function RowActions(props: {
  context: IViewContext;
  runtime: IRuntime;
  tabIndex: number;
}): React.JSX.Element {
  const { runtime, tabIndex } = props;
  const { commands, trans } = props.context;
  const args = { runtime_id: runtime.id };
  return (
    <div className="jp-RemoteKernels-actions">
      {ROW_ACTIONS.map(command => (
        <CommandButton
          key={command}
          commands={commands}
          command={command}
          args={args}
          subject={runtime.name}
          tabIndex={tabIndex}
        />
      ))}
      <button
        type="button"
        className="jp-RemoteKernels-action"
        title={trans.__('More Actions')}
        aria-label={trans.__('More Actions: %1', runtime.name)}
        aria-haspopup="menu"
        tabIndex={tabIndex}
        onClick={event => {
          event.stopPropagation();
          openMenu(commands, MORE_ACTIONS, args, event.currentTarget);
        }}
      >
        <ellipsesIcon.react tag="span" />
      </button>
    </div>
  );
}

function StateLine(props: {
  context: IViewContext;
  runtime: IRuntime;
  state: IStateText;
}): React.JSX.Element {
  const { runtime, state } = props;
  const { remoteKernels, trans } = props.context;
  const progress = useProgress(runtime, remoteKernels.clock, trans);
  return (
    <>
      {/* A runtime is named after its environment until somebody renames it. */}
      {runtime.environment_display_name !== runtime.name && (
        <div className="jp-RemoteKernels-line">
          {runtime.environment_display_name}
        </div>
      )}
      <div className="jp-RemoteKernels-state">
        {[state.label, progress].filter(text => !!text).join('; ')}
      </div>
      {state.detail && (
        <div className="jp-RemoteKernels-line jp-RemoteKernels-engine">
          {state.detail}
        </div>
      )}
    </>
  );
}

/** What the runtime may still use, and what it has cost. */
function ReservationLine(props: {
  context: IViewContext;
  runtime: IRuntime;
}): React.JSX.Element | null {
  const { runtime } = props;
  const { remoteKernels, trans } = props.context;
  const left = useTimeLeft(runtime, remoteKernels.clock);
  const costs = runtime.credits > 0 || runtime.credits_per_hour > 0;
  if (left === null && !costs) {
    return null;
  }
  return (
    <div className="jp-RemoteKernels-line jp-RemoteKernels-reservation">
      {left !== null && (
        <span
          className="jp-RemoteKernels-countdown"
          data-short={left <= WARNINGS_S[0] * 1000 || undefined}
          title={trans.__('Ends at %1', formatTime(runtime.expires_at ?? ''))}
        >
          {trans.__('%1 left', formatCountdown(left, trans))}
        </span>
      )}
      {costs && <span>{formatCredits(runtime.credits, trans)}</span>}
    </div>
  );
}

function UsageLine(props: {
  context: IViewContext;
  runtime: IRuntime;
}): React.JSX.Element | null {
  const { runtime } = props;
  const parts = describeUsage(runtime, props.context.trans);
  if (parts.length === 0 || runtime.phase !== 'running') {
    return null;
  }
  const share = memoryShare(runtime);
  return (
    <>
      <div className="jp-RemoteKernels-line jp-RemoteKernels-usage">
        {parts.map(part => (
          <span key={part}>{part}</span>
        ))}
      </div>
      {share !== null && (
        // The line above says the same in words.
        <div className="jp-RemoteKernels-meter" aria-hidden="true">
          <div
            data-high={share > 0.9 || undefined}
            style={{ width: `${share * 100}%` }}
          />
        </div>
      )}
    </>
  );
}

function ExitNotice(props: {
  context: IViewContext;
  runtime: IRuntime;
  tabIndex: number;
}): React.JSX.Element | null {
  const { remoteKernels, trans } = props.context;
  const { runtime } = props;
  const exit = remoteKernels.lastExit(runtime.id);
  if (!exit || runtime.target !== 'running') {
    return null;
  }
  const isBack = !runtime.exit;
  return (
    <div className="jp-RemoteKernels-exit">
      <div className="jp-RemoteKernels-exitText">
        <div>
          {isBack
            ? trans.__('Restarted. %1', asSentences(exit.message))
            : asSentences(exit.message)}
        </div>
        {exit.hint && <div>{asSentences(exit.hint)}</div>}
      </div>
      {isBack && (
        <button
          type="button"
          className="jp-RemoteKernels-action"
          title={trans.__('Dismiss')}
          aria-label={trans.__('Dismiss: %1', exit.message)}
          tabIndex={props.tabIndex}
          onClick={() => remoteKernels.forgetExit(runtime.id)}
        >
          <closeIcon.react tag="span" />
        </button>
      )}
    </div>
  );
}

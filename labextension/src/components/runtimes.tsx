import { closeIcon, ReactWidget, UseSignal } from '@jupyterlab/ui-components';
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
import { Blank, CommandButton, Obstacle, type IViewContext } from './common';
import { useTimeLeft } from './countdown';
import { Documents } from './documents';

/** The class that context menus and shortcuts select a row by. */
export const RUNTIME_CLASS = 'jp-RemoteKernels-runtime';

/** Those at hand; the context menu has more. */
const ROW_ACTIONS = [
  CommandIDs.openNotebook,
  CommandIDs.extend,
  CommandIDs.interrupt,
  CommandIDs.restart,
  CommandIDs.showLogs,
  CommandIDs.terminate
];

/** The section of the panel that lists the runtimes. */
export class RuntimesView extends ReactWidget {
  constructor(context: IViewContext) {
    super();
    this._context = context;
    this.addClass('jp-RemoteKernels-section');
  }

  /** Put the focus on a runtime's row and bring it into view. */
  reveal(id: string): void {
    this.renderPromise
      ?.then(() => {
        const row = this.node.querySelector<HTMLElement>(
          `[data-runtime-id="${CSS.escape(id)}"]`
        );
        row?.scrollIntoView({ block: 'nearest' });
        row?.focus();
      })
      .catch(() => undefined);
  }

  protected override render(): React.JSX.Element {
    return (
      <UseSignal signal={this._context.remoteKernels.changed}>
        {() => <RuntimeList context={this._context} />}
      </UseSignal>
    );
  }

  private readonly _context: IViewContext;
}

function RuntimeList(props: { context: IViewContext }): React.JSX.Element {
  const { remoteKernels, trans } = props.context;
  const { runtimes } = remoteKernels;
  const list = React.useRef<HTMLUListElement>(null);
  const [current, setCurrent] = React.useState<string | null>(null);
  const index = Math.max(
    0,
    runtimes.findIndex(runtime => runtime.id === current)
  );
  useFocusAfterRemoval(list, runtimes, current);

  // What was read before an error is still worth more than the error alone.
  const obstacle =
    remoteKernels.status === 'ready' ? null : (
      <Obstacle context={props.context} />
    );
  if (runtimes.length === 0) {
    return (
      obstacle ?? (
        <Blank
          title={trans.__('No runtimes yet')}
          text={trans.__(
            'Launch an environment below, or pick one as the kernel of a notebook.'
          )}
        />
      )
    );
  }

  const onKeyDown = (event: React.KeyboardEvent<HTMLUListElement>): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    let next = step === undefined ? -1 : index + step;
    if (event.key === 'Home') {
      next = 0;
    } else if (event.key === 'End') {
      next = runtimes.length - 1;
    }
    if (next < 0 || next >= runtimes.length) {
      return;
    }
    event.preventDefault();
    (list.current?.children[next] as HTMLElement | undefined)?.focus();
  };

  return (
    <>
      {obstacle}
      <ul
        ref={list}
        className="jp-RemoteKernels-list"
        aria-label={trans.__('Runtimes')}
        onKeyDown={onKeyDown}
      >
        {runtimes.map((runtime, position) => (
          <RuntimeRow
            key={runtime.id}
            context={props.context}
            runtime={runtime}
            isCurrent={position === index}
            onFocus={() => setCurrent(runtime.id)}
          />
        ))}
      </ul>
    </>
  );
}

/** When the focused row goes away, the focus goes to its neighbour and not to the page. */
function useFocusAfterRemoval(
  list: React.RefObject<HTMLUListElement>,
  runtimes: ReadonlyArray<IRuntime>,
  current: string | null
): void {
  const before = React.useRef<ReadonlyArray<IRuntime>>(runtimes);
  React.useEffect(() => {
    const position = before.current.findIndex(({ id }) => id === current);
    before.current = runtimes;
    const isGone =
      position >= 0 && !runtimes.some(runtime => runtime.id === current);
    if (isGone && document.activeElement === document.body) {
      const rows = list.current?.children;
      const row = rows?.[Math.min(position, rows.length - 1)];
      (row as HTMLElement | undefined)?.focus();
    }
  }, [runtimes, current, list]);
}

function RuntimeRow(props: {
  context: IViewContext;
  runtime: IRuntime;
  isCurrent: boolean;
  onFocus: () => void;
}): React.JSX.Element {
  const { runtime, isCurrent } = props;
  const { commands, trans } = props.context;
  const state = describeState(runtime, trans);
  const Icon = stateIcons[state.kind].react;
  const args = { runtime_id: runtime.id };
  const tabIndex = isCurrent ? 0 : -1;
  return (
    <li
      className={`jp-RemoteKernels-row ${RUNTIME_CLASS}`}
      data-runtime-id={runtime.id}
      data-state={state.kind}
      tabIndex={tabIndex}
      aria-label={[
        runtime.name,
        runtime.environment_display_name,
        state.label,
        state.detail
      ]
        .filter(text => !!text)
        .join(', ')}
      onFocus={props.onFocus}
      onDoubleClick={() => void commands.execute(CommandIDs.openNotebook, args)}
      onKeyDown={event => {
        if (event.key === 'Enter' && event.target === event.currentTarget) {
          event.preventDefault();
          void commands.execute(CommandIDs.openNotebook, args);
        }
      }}
    >
      <Icon tag="span" className="jp-RemoteKernels-icon" title={state.label} />
      <div className="jp-RemoteKernels-body">
        <div className="jp-RemoteKernels-title" title={runtime.name}>
          {runtime.name}
        </div>
        <StateLine runtime={runtime} state={state} />
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
      </div>
    </li>
  );
}

function StateLine(props: {
  runtime: IRuntime;
  state: IStateText;
}): React.JSX.Element {
  const { runtime, state } = props;
  return (
    <>
      {/* A runtime is named after its environment until somebody renames it. */}
      {runtime.environment_display_name !== runtime.name && (
        <div className="jp-RemoteKernels-line">
          {runtime.environment_display_name}
        </div>
      )}
      <div className="jp-RemoteKernels-state">{state.label}</div>
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

import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { IRuntime } from '../api';
import {
  extendTo,
  NO_SELECTION,
  selectAll,
  selectedOf,
  toggle,
  type ISelection
} from '../selection';
import { Blank, Obstacle, type IViewContext } from './common';
import { RuntimeRow } from './runtimeRow';
import { SelectionBar } from './selectionBar';

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
  const [selection, setSelection] = React.useState<ISelection>(NO_SELECTION);
  const index = Math.max(
    0,
    runtimes.findIndex(runtime => runtime.id === current)
  );
  const ids = runtimes.map(({ id }) => id);
  const selected = selectedOf(selection, ids);
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
    const next = nextIndex(event.key, index, runtimes.length);
    if (next !== null) {
      (list.current?.children[next] as HTMLElement | undefined)?.focus();
      if (event.shiftKey) {
        const from =
          selected.length > 0 ? selection : toggle(selection, ids[index]);
        setSelection(extendTo(from, ids[next], ids));
      }
    } else if (event.key === 'a' && (event.ctrlKey || event.metaKey)) {
      setSelection(selectAll(ids));
    } else if (event.key === 'Escape' && selected.length > 0) {
      setSelection(NO_SELECTION);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <>
      {obstacle}
      <SelectionBar
        context={props.context}
        ids={selected}
        clear={() => {
          setSelection(NO_SELECTION);
          (list.current?.children[index] as HTMLElement | undefined)?.focus();
        }}
      />
      <ul
        ref={list}
        className="jp-RemoteKernels-list"
        data-selecting={selected.length > 0 || undefined}
        aria-label={trans.__('Runtimes')}
        onKeyDown={onKeyDown}
      >
        {runtimes.map((runtime, position) => (
          <RuntimeRow
            key={runtime.id}
            context={props.context}
            runtime={runtime}
            isCurrent={position === index}
            isSelected={selected.includes(runtime.id)}
            onFocus={() => setCurrent(runtime.id)}
            onSelect={isRange =>
              setSelection(
                isRange
                  ? extendTo(selection, runtime.id, ids)
                  : toggle(selection, runtime.id)
              )
            }
          />
        ))}
      </ul>
    </>
  );
}

/** To which row a key leads; `null` when it leads nowhere. */
function nextIndex(key: string, index: number, count: number): number | null {
  const step = { ArrowDown: 1, ArrowUp: -1 }[key];
  let next = step === undefined ? -1 : index + step;
  if (key === 'Home') {
    next = 0;
  } else if (key === 'End') {
    next = count - 1;
  }
  return next < 0 || next >= count ? null : next;
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

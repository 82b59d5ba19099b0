import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import {
  closeIcon,
  LabIcon,
  ReactWidget,
  UseSignal
} from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import { formatDuration } from '../amounts';
import type { IRuntime } from '../api';
import { formatTime } from '../format';
import { stateIcons, timeShortIcon } from '../icons';
import {
  extensionSteps,
  isReservationOver,
  type IReservations
} from '../reservations';
import { CommandIDs } from '../tokens';
import type { IViewContext } from './common';
import { Countdown } from './countdown';

/** What the banner needs besides what every view needs. */
export interface IBannerContext extends IViewContext {
  readonly reservations: IReservations;
}

/** Above a notebook: its runtime is about to end, or has ended because its time was over. */
export class ReservationBanner extends ReactWidget {
  constructor(context: IBannerContext, panel: NotebookPanel) {
    super();
    this._context = context;
    this._panel = panel;
    this.addClass('jp-RemoteKernels-bannerItem');
    context.reservations.changed.connect(this._refresh, this);
    context.remoteKernels.changed.connect(this._refresh, this);
    panel.sessionContext.kernelChanged.connect(this._refresh, this);
    this._observer = new ResizeObserver(() => this._fit());
    this._refresh();
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    const { reservations, remoteKernels } = this._context;
    this._observer.disconnect();
    reservations.changed.disconnect(this._refresh, this);
    remoteKernels.changed.disconnect(this._refresh, this);
    this._panel.sessionContext.kernelChanged.disconnect(this._refresh, this);
    super.dispose();
  }

  protected override onUpdateRequest(msg: Message): void {
    super.onUpdateRequest(msg);
    void this.renderPromise?.then(() => {
      this._observer.disconnect();
      if (this.node.firstElementChild) {
        this._observer.observe(this.node.firstElementChild);
      }
      this._fit();
    });
  }

  protected override render(): React.JSX.Element {
    return (
      <UseSignal signal={this._context.remoteKernels.changed}>
        {() => this._renderNotice()}
      </UseSignal>
    );
  }

  private _renderNotice(): React.JSX.Element | null {
    const runtime = this._runtime;
    if (!runtime || this.isHidden) {
      return null;
    }
    const props = {
      context: this._context,
      runtime,
      dismiss: () => this._dismiss(runtime)
    };
    return isReservationOver(runtime) ? (
      <EndNotice {...props} />
    ) : (
      <Warning {...props} />
    );
  }

  private get _runtime(): IRuntime | undefined {
    const id = this._panel.sessionContext.session?.kernel?.id;
    return id ? this._context.remoteKernels.find(id) : undefined;
  }

  private _refresh(): void {
    const runtime = this._runtime;
    const isWanted =
      !!runtime &&
      (this._context.reservations.warningOf(runtime.id) !== null ||
        (isReservationOver(runtime) && this._dismissedEnd !== endOf(runtime)));
    if (!isWanted && this.isHidden) {
      return;
    }
    // The focus must not get lost with what had it.
    if (!isWanted && this.node.contains(document.activeElement)) {
      this._panel.activate();
    }
    this.setHidden(!isWanted);
    this.update();
  }

  private _dismiss(runtime: IRuntime): void {
    if (isReservationOver(runtime)) {
      this._dismissedEnd = endOf(runtime);
      this._refresh();
    } else {
      this._context.reservations.acknowledge(runtime.id);
    }
  }

  /** The layout asks for a height, which depends on how often the text is wrapped. */
  private _fit(): void {
    const height = this.node.firstElementChild?.scrollHeight ?? 0;
    const minHeight = `${height}px`;
    if (this.node.style.minHeight !== minHeight) {
      this.node.style.minHeight = minHeight;
      this.parent?.fit();
    }
  }

  private readonly _context: IBannerContext;
  private readonly _panel: NotebookPanel;
  private readonly _observer: ResizeObserver;
  private _dismissedEnd = '';
}

function endOf(runtime: IRuntime): string {
  return `${runtime.id} ${runtime.expires_at}`;
}

interface INoticeProps {
  readonly context: IBannerContext;
  readonly runtime: IRuntime;
  readonly dismiss: () => void;
}

function Warning(props: INoticeProps): React.JSX.Element {
  const { context, runtime } = props;
  const { commands, remoteKernels, reservations, trans } = context;
  const environment = remoteKernels.findEnvironment(runtime.environment);
  const extend = (by_s?: number): void => {
    void commands.execute(CommandIDs.extend, {
      runtime_id: runtime.id,
      ...(by_s === undefined ? {} : { by_s })
    });
  };
  const [usual_s, ...others] = extensionSteps(runtime, environment);
  return (
    <Notice
      {...props}
      icon={timeShortIcon}
      level={String(reservations.warningOf(runtime.id))}
      text={describeEnd(runtime, trans)}
      detail={
        <Countdown
          runtime={runtime}
          clock={remoteKernels.clock}
          trans={trans}
          format={left => trans.__('%1 left', left)}
        />
      }
    >
      {usual_s !== undefined && (
        <TextButton
          label={trans.__('Extend by %1', formatDuration(usual_s, trans))}
          run={() => extend(usual_s)}
        />
      )}
      {others.map(step_s => (
        <TextButton
          key={step_s}
          label={`+ ${formatDuration(step_s, trans)}`}
          caption={trans.__('Extend by %1', formatDuration(step_s, trans))}
          run={() => extend(step_s)}
        />
      ))}
      {commands.hasCommand(CommandIDs.pause) && (
        <TextButton
          label={trans.__('Pause Now…')}
          caption={trans.__('Save the variables and give the compute back')}
          run={() =>
            void commands.execute(CommandIDs.pause, { runtime_id: runtime.id })
          }
        />
      )}
      <TextButton
        label={trans.__('Other…')}
        caption={trans.__('Choose another end of the reservation')}
        run={() => extend()}
      />
    </Notice>
  );
}

function describeEnd(runtime: IRuntime, trans: TranslationBundle): string {
  const end = formatTime(runtime.expires_at ?? '');
  return runtime.lease_policy === 'pause'
    ? trans.__('%1: it is paused before %2.', runtime.name, end)
    : trans.__('%1: variables are lost at %2.', runtime.name, end);
}

function EndNotice(props: INoticeProps): React.JSX.Element {
  const { context, runtime } = props;
  const { commands, trans } = context;
  return (
    <Notice
      {...props}
      icon={stateIcons.ended}
      level="over"
      text={trans.__(
        '%1: its time reservation is over and its variables are lost. The notebook is kept.',
        runtime.name
      )}
    >
      <TextButton
        label={trans.__('Restart')}
        caption={trans.__('Restart the kernel with a new reservation')}
        run={() =>
          void commands.execute(CommandIDs.restart, { runtime_id: runtime.id })
        }
      />
    </Notice>
  );
}

function Notice(
  props: INoticeProps & {
    icon: LabIcon;
    level: string;
    text: string;
    detail?: React.ReactNode;
    children: React.ReactNode;
  }
): React.JSX.Element {
  const { context, dismiss, icon: Icon, level, text, detail } = props;
  const { trans } = context;
  return (
    <div
      className="jp-RemoteKernels-banner"
      data-level={level}
      role="region"
      aria-label={trans.__('Time reservation')}
      onKeyDown={event => {
        if (event.key === 'Escape') {
          dismiss();
        }
      }}
    >
      <Icon.react tag="span" className="jp-RemoteKernels-icon" />
      <div className="jp-RemoteKernels-bannerText">
        {/* Said once per warning: what ticks is outside. */}
        <span key={level} role="status">
          {text}
        </span>{' '}
        {detail}
      </div>
      <div className="jp-RemoteKernels-bannerActions">
        {props.children}
        <button
          type="button"
          className="jp-RemoteKernels-action"
          title={trans.__('Dismiss')}
          aria-label={trans.__('Dismiss')}
          onClick={dismiss}
        >
          <closeIcon.react tag="span" />
        </button>
      </div>
    </div>
  );
}

function TextButton(props: {
  label: string;
  caption?: string;
  run: () => void;
}): React.JSX.Element {
  return (
    <button
      type="button"
      className="jp-RemoteKernels-textButton"
      title={props.caption ?? props.label}
      aria-label={props.caption ?? props.label}
      onClick={props.run}
    >
      {props.label}
    </button>
  );
}

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { countdownTickMs, formatCountdown } from '../amounts';
import type { IRuntime } from '../api';
import type { IClock } from '../clock';
import { describeProgress, untilNextTryMs } from '../format';
import { timeLeftMs } from '../reservations';

/**
 * What is left of a runtime's reservation, in milliseconds; `null` without an end.
 *
 * Counts by itself, from the end that the server has named: once a minute, in the last five
 * minutes once a second.
 */
export function useTimeLeft(runtime: IRuntime, clock: IClock): number | null {
  const left = timeLeftMs(runtime, clock.now());
  useTick(left === null ? null : countdownTickMs(left));
  return left;
}

/** How far a runtime is on its way back, as text; counts by itself. Empty when it is there. */
export function useProgress(
  runtime: IRuntime,
  clock: IClock,
  trans: TranslationBundle
): string {
  const now = clock.now();
  const wait = untilNextTryMs(runtime, now);
  useTick(wait === null ? null : wait % 1000 || 1000);
  return describeProgress(runtime, now, trans);
}

/** Draw anew after a time; `null` for never. */
function useTick(wait: number | null): void {
  const [, tick] = React.useReducer((count: number) => count + 1, 0);
  // Without dependencies: each drawing waits for its own next change.
  React.useEffect(() => {
    if (wait === null) {
      return;
    }
    const timer = setTimeout(tick, Math.ceil(wait));
    return () => clearTimeout(timer);
  });
}

/** The time that is left, as text. Screen readers are told by the warnings, not by each tick. */
export function Countdown(props: {
  runtime: IRuntime;
  clock: IClock;
  trans: TranslationBundle;
  /** How to say it, for example "%1 left". */
  format?: (time: string) => string;
}): React.JSX.Element | null {
  const { runtime, clock, trans, format } = props;
  const left = useTimeLeft(runtime, clock);
  if (left === null) {
    return null;
  }
  const text = formatCountdown(left, trans);
  return (
    <span className="jp-RemoteKernels-countdown" role="timer" aria-live="off">
      {format ? format(text) : text}
    </span>
  );
}

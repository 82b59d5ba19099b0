/**
 * What has to be done about a run of a cell. Pure: no widget, no request.
 */
import type { IExecution } from '../executionsApi';
import type { IOwnExecution } from './tracker';
import { isOutput, withoutRepeats, type IMessage } from './transcript';

/** What a page knows about a run, and about its cell. */
export interface IKnown {
  /** Whether the notebook has the cell. */
  readonly hasCell: boolean;
  /** Whether all of it has been shown on this page. */
  readonly isShown: boolean;
  /** The run as this page has asked for it. */
  readonly own: IOwnExecution | undefined;
  /** Whether JupyterLab still follows it for this page. */
  readonly isFollowed: boolean;
  /** Whether this page has begun to recover it, and goes on with that. */
  readonly isRecovering: boolean;
  /** Whether this page has run the cell again since the server was asked. */
  readonly isRerun: boolean;
}

/**
 * What to do about a run.
 *
 * - `leave`: nothing is missing, or it is nobody's business any more
 * - `repair`: this page follows it, and may have missed something
 * - `resume`: go on with what was recovered before
 * - `recover`: show it from its begin
 * - `report`: there is no cell to show it in
 */
export type Step = 'leave' | 'repair' | 'resume' | 'recover' | 'report';

/** Decide what to do about a run. */
export function chooseStep(known: IKnown): Step {
  const { own } = known;
  if (known.isShown || known.isRerun) {
    return 'leave';
  }
  if (!known.hasCell) {
    // Who asked for it here has removed the cell here.
    return own ? 'leave' : 'report';
  }
  if (known.isRecovering) {
    return 'resume';
  }
  if (own && known.isFollowed) {
    return own.isDoubtful ? 'repair' : 'leave';
  }
  return own && !own.isDoubtful ? 'leave' : 'recover';
}

/** Requests that were sent over a connection that was dead already. */
export function findLost(
  own: ReadonlyArray<IOwnExecution>,
  kept: ReadonlyArray<IExecution>
): IOwnExecution[] {
  const ids = new Set(kept.map(({ msg_id }) => msg_id));
  return own.filter(
    execution =>
      execution.isDoubtful &&
      execution.wentOut &&
      execution.seen.size === 0 &&
      !ids.has(execution.msgId)
  );
}

/** How to show what a page has missed. */
export interface IRepair {
  /** Whether the cell's outputs have to be shown anew, because something in the middle is missing. */
  readonly clear: boolean;
  /** What to show. */
  readonly outputs: IMessage[];
  /** What else to tell JupyterLab: the reply, the end, a question of the kernel's. */
  readonly others: IMessage[];
}

/**
 * Compare what has come to a page with what there was.
 *
 * @param transcript - what the server has kept, and what has come since the connection is back
 * @param own - what has come to the page
 * @returns what to do; `null` when nothing is missing
 */
export function planRepair(
  transcript: ReadonlyArray<IMessage>,
  own: Pick<IOwnExecution, 'seen' | 'pending'>
): IRepair | null {
  const all = withoutRepeats(transcript);
  const isMissing = (message: IMessage): boolean =>
    !own.seen.has(message.header.msg_id);
  const missing = all.filter(isMissing);
  if (missing.length === 0) {
    return null;
  }
  const others = missing.filter(message => !isOutput(message));
  const first = all.findIndex(
    message => isOutput(message) && isMissing(message)
  );
  if (first === -1) {
    return { clear: false, outputs: [], others };
  }
  const isTail = all
    .slice(first)
    .every(message => !isOutput(message) || isMissing(message));
  if (isTail) {
    return { clear: false, outputs: missing.filter(isOutput), others };
  }
  const questions = all.filter(
    message => message.channel === 'stdin' && !isMissing(message)
  );
  return {
    clear: true,
    // What JupyterLab has still to handle will be shown by it.
    outputs: all.filter(
      message => isOutput(message) && !own.pending.has(message.header.msg_id)
    ),
    // With the outputs, the box for an answer is cleared too.
    others: [...others, ...questions]
  };
}

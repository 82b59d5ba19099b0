import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IRuntime } from '../api';
import { RemoteKernelsError } from '../errors';
import { asSentences, formatBytes } from '../format';
import { describeLoss, isSameCell, listLosses, sortByCell } from '../pausing';
import type { IMakingCell, IVariableFate, IVariables } from '../stateApi';
import type { IRemoteKernels } from '../tokens';

interface IRuntimeLossesProps {
  readonly remoteKernels: IRemoteKernels;
  readonly runtime: IRuntime;
  readonly trans: TranslationBundle;
  /** What is said while the kernel is busy and cannot be asked. */
  readonly busyText: string;
  /** Ends the question before the view goes away. */
  readonly asking?: AbortController;
}

/** What of a kernel's variables would be saved, and what would not; the kernel is asked. */
export function RuntimeLosses(props: IRuntimeLossesProps): React.JSX.Element {
  const { remoteKernels, runtime, trans, busyText, asking } = props;
  const [found, setFound] = React.useState<IVariables | null>(null);
  const [error, setError] = React.useState<RemoteKernelsError | null>(null);
  React.useEffect(() => {
    const closing = asking ?? new AbortController();
    const isWanted = (): boolean => !closing.signal.aborted;
    remoteKernels.listVariables(runtime.id, closing.signal).then(
      variables => isWanted() && setFound(variables),
      (reason: unknown) =>
        isWanted() && setError(RemoteKernelsError.from(reason))
    );
    return () => closing.abort();
  }, [remoteKernels, runtime.id, asking]);
  return (
    <div aria-live="polite">
      {found && <Losses found={found} trans={trans} />}
      {error && (
        <p>
          {trans.__('What can be saved is not known.')}{' '}
          {asSentences(error.message, error.hint)}
        </p>
      )}
      {!found && !error && (
        <p>
          {runtime.execution_state === 'busy'
            ? busyText
            : trans.__('Looking at the variables…')}
        </p>
      )}
    </div>
  );
}

function Losses(props: {
  found: IVariables;
  trans: TranslationBundle;
}): React.JSX.Element {
  const { found, trans } = props;
  const { variables, total_bytes } = found;
  const losses = listLosses(variables);
  const refused = losses.filter(({ status }) => status === 'refused').length;
  const kept = variables.length - refused;
  return (
    <>
      <p>
        {trans._n(
          '%2 is saved: one variable.',
          '%2 are saved: %1 variables.',
          kept,
          formatBytes(total_bytes)
        )}
      </p>
      {losses.length > 0 && (
        <>
          <p>{trans.__('These will not be as they are now:')}</p>
          <FateList
            variables={losses}
            describe={variable => describeLoss(variable, trans)}
          />
        </>
      )}
    </>
  );
}

/** Runs a cell again; false when it ended with an error, which its cell shows. */
export type Rerun = (cell: IMakingCell) => Promise<boolean>;

/** The offer to run the cells again that made something. */
export interface IRerunOffer {
  readonly run: Rerun;
  readonly trans: TranslationBundle;
}

/** Variables, one a line, and what becomes of each. */
export function FateList(props: {
  variables: ReadonlyArray<IVariableFate>;
  describe: (variable: IVariableFate) => string;
  rerun?: IRerunOffer;
}): React.JSX.Element {
  const { variables, describe, rerun } = props;
  const ordered = rerun ? sortByCell(variables) : variables;
  return (
    <ul className="jp-RemoteKernels-report">
      {ordered.map((variable, index) => {
        const { name, type, size_bytes, cell } = variable;
        const facts = [type, size_bytes ? formatBytes(size_bytes) : '']
          .filter(text => !!text)
          .join(', ');
        // A cell that made several is shown, and run, once.
        const isLast = !isSameCell(cell, ordered[index + 1]?.cell);
        const names = ordered
          .filter(other => isSameCell(other.cell, cell))
          .map(other => other.name);
        return (
          <li key={name}>
            <code>{name}</code>
            {facts && ` (${facts})`}: {describe(variable)}
            {rerun && cell && isLast && (
              <RunAgain {...rerun} name={names.join(', ')} cell={cell} />
            )}
          </li>
        );
      })}
    </ul>
  );
}

/** The cell that made a variable, and the button that runs it. Nothing is run unasked. */
function RunAgain(
  props: IRerunOffer & { name: string; cell: IMakingCell }
): React.JSX.Element {
  const { run, trans, name, cell } = props;
  const [said, setSaid] = React.useState('');
  const [isRunning, setIsRunning] = React.useState(false);
  const start = async (): Promise<void> => {
    setIsRunning(true);
    setSaid(trans.__('Running…'));
    try {
      const isDone = await run(cell);
      setSaid(isDone ? trans.__('Done.') : trans.__('Failed: see the cell.'));
    } catch (error) {
      setSaid(asSentences(RemoteKernelsError.from(error).message));
    } finally {
      setIsRunning(false);
    }
  };
  return (
    <div className="jp-RemoteKernels-rerun">
      <pre>{cell.source}</pre>
      <button
        type="button"
        className="jp-RemoteKernels-textButton"
        aria-label={trans.__('Run the cell that made %1', name)}
        disabled={isRunning}
        onClick={() => void start()}
      >
        {trans.__('Run')}
      </button>
      <span role="status">{said}</span>
    </div>
  );
}

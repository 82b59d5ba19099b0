import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatDuration } from '../amounts';
import type { IEnvironment, IEstimate } from '../api';
import { RemoteKernelsError } from '../errors';
import type { Form } from '../form';
import { asSentences } from '../format';
import {
  canHaveNoEnd,
  describeEstimate,
  leaseOf,
  type ILeaseValues
} from '../launchForm';
import type { IRemoteKernels } from '../tokens';
import { Checkbox, DurationField } from './fields';

/** Typing is over after this long; only then is the server asked what it would cost. */
const ESTIMATE_AFTER_MS = 200;

/** What the field of a time reservation needs. */
interface ILeaseFieldProps {
  readonly remoteKernels: IRemoteKernels;
  readonly form: Form<ILeaseValues>;
  readonly trans: TranslationBundle;
  readonly environment: IEnvironment;
}

/** How long a job lasts, and what that costs. */
export function LeaseField(props: ILeaseFieldProps): React.JSX.Element {
  const { form, trans, environment } = props;
  const { values, problems } = form;
  const longest = environment.max_lease_s;
  return (
    <DurationField
      name="lease"
      label={trans.__('Time reservation')}
      problems={problems}
      value={values.lease}
      disabled={!values.hasEnd}
      trans={trans}
      onChange={lease => form.update({ lease })}
      hint={
        <>
          <Cost {...props} />
          {longest !== null && (
            <div>{trans.__('At most %1.', formatDuration(longest, trans))}</div>
          )}
        </>
      }
    >
      {canHaveNoEnd(environment) && (
        <Checkbox
          name="noEnd"
          label={trans.__('No end')}
          checked={!values.hasEnd}
          onChange={noEnd =>
            form.update({ hasEnd: !noEnd, lease: values.lease })
          }
        />
      )}
    </DurationField>
  );
}

function Cost(props: ILeaseFieldProps): React.JSX.Element {
  const { form, trans, environment, remoteKernels } = props;
  const lease_s = leaseOf(form.values);
  const [estimate, error] = useEstimate(
    remoteKernels,
    environment.name,
    lease_s
  );
  const problem = estimate?.problem;
  // The line is always there, so that nothing moves when the answer comes.
  return (
    <div className="jp-RemoteKernels-cost" aria-live="polite">
      {estimate ? describeEstimate(estimate, lease_s, trans) : '\u00a0'}
      {problem && (
        <div className="jp-RemoteKernels-fieldError">
          {asSentences(problem.detail || problem.title, problem.hint)}
        </div>
      )}
      {error && <div>{asSentences(error.message)}</div>}
    </div>
  );
}

/** What a launch would cost; `null` until the server has said so. */
export function useEstimate(
  remoteKernels: IRemoteKernels,
  environment: string,
  lease_s: number | null | undefined
): [IEstimate | null, RemoteKernelsError | null] {
  const [estimate, setEstimate] = React.useState<IEstimate | null>(null);
  const [error, setError] = React.useState<RemoteKernelsError | null>(null);
  React.useEffect(() => {
    let isCurrent = true;
    const ask = async (): Promise<void> => {
      let found: IEstimate | null = null;
      let problem: RemoteKernelsError | null = null;
      try {
        found = await remoteKernels.estimate(environment, lease_s);
      } catch (reason) {
        problem = RemoteKernelsError.from(reason);
      }
      if (isCurrent) {
        setEstimate(found);
        setError(problem);
      }
    };
    const isReadable = lease_s === null || !!lease_s;
    const timer = isReadable
      ? setTimeout(() => void ask(), ESTIMATE_AFTER_MS)
      : undefined;
    if (!isReadable) {
      setEstimate(null);
    }
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [remoteKernels, environment, lease_s]);
  return [estimate, error];
}

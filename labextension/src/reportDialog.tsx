import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { FateList, type IRerunOffer, type Rerun } from './components/losses';
import { describeReason } from './pausing';
import type { IStateResult, IVariableFate } from './stateApi';

/**
 * Show what became of each variable.
 *
 * @param title - what it is about
 * @param result - what the server says
 * @param trans - the translations
 * @param rerun - runs a cell that made a variable; without it that is not offered
 */
export async function showReport(
  title: string,
  result: IStateResult,
  trans: TranslationBundle,
  rerun?: Rerun
): Promise<void> {
  await showDialog({
    title,
    body: <Report result={result} trans={trans} rerun={rerun} />,
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
}

function Report(props: {
  result: IStateResult;
  trans: TranslationBundle;
  rerun: Rerun | undefined;
}): React.JSX.Element {
  const { result, trans, rerun } = props;
  const { transferred, restored, renamed, kept, not_carried, lost } = result;
  const arrived = transferred?.map(({ name }) => name) ?? restored;
  const others = Object.entries(renamed ?? {});
  const notes = Object.entries(result.notes ?? {});
  const why = (variable: IVariableFate): string =>
    describeReason(variable, trans);
  return (
    <div className="jp-RemoteKernels-losses">
      <Fates
        title={trans.__('Lost on the way')}
        variables={lost}
        describe={why}
      />
      <Fates
        title={trans.__('Not carried')}
        variables={not_carried}
        describe={why}
        rerun={rerun && { run: rerun, trans }}
      />
      {others.length > 0 && (
        <Section title={trans.__('Under other names')}>
          <ul className="jp-RemoteKernels-report">
            {others.map(([before, after]) => (
              <li key={before}>
                <code>{before}</code> → <code>{after}</code>
              </li>
            ))}
          </ul>
        </Section>
      )}
      <Names title={trans.__('Kept as they were')} names={kept} />
      {notes.length > 0 && (
        <Section title={trans.__('Good to know')}>
          <ul className="jp-RemoteKernels-report">
            {notes.map(([name, text]) => (
              <li key={name}>
                <code>{name}</code>: {text}
              </li>
            ))}
          </ul>
        </Section>
      )}
      <Names title={trans.__('Arrived')} names={arrived} />
    </div>
  );
}

function Section(props: {
  title: string;
  children: React.ReactNode;
}): React.JSX.Element {
  return (
    <section aria-label={props.title}>
      <h3>{props.title}</h3>
      {props.children}
    </section>
  );
}

function Fates(props: {
  title: string;
  variables: ReadonlyArray<IVariableFate> | undefined;
  describe: (variable: IVariableFate) => string;
  rerun?: IRerunOffer;
}): React.JSX.Element | null {
  const { title, variables, describe, rerun } = props;
  return variables && variables.length > 0 ? (
    <Section title={title}>
      <FateList variables={variables} describe={describe} rerun={rerun} />
    </Section>
  ) : null;
}

function Names(props: {
  title: string;
  names: ReadonlyArray<string> | undefined;
}): React.JSX.Element | null {
  const { title, names } = props;
  return names && names.length > 0 ? (
    <Section title={title}>
      <p>
        {names.map((name, index) => (
          <React.Fragment key={name}>
            {index > 0 && ', '}
            <code>{name}</code>
          </React.Fragment>
        ))}
      </p>
    </Section>
  ) : null;
}

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { asSentences } from '../format';
import { snapshotIcon, stateIcons } from '../icons';
import { describeReason } from '../pausing';
import {
  describeSnapshotProblem,
  snapshotFacts,
  snapshotTitle
} from '../snapshotTexts';
import type { ISnapshot, IVariableFate } from '../stateApi';
import { CommandIDs } from '../tokens';
import { Blank, CommandButton, type IViewContext } from './common';
import { FateList } from './losses';

/** The class that context menus and shortcuts select a row by. */
export const SNAPSHOT_CLASS = 'jp-RemoteKernels-snapshot';

const ROW_ACTIONS = [
  CommandIDs.launchSnapshot,
  CommandIDs.restoreSnapshot,
  CommandIDs.labelSnapshot,
  CommandIDs.downloadSnapshot,
  CommandIDs.deleteSnapshot
];

/** The user's snapshots. */
export function SnapshotList(props: {
  context: IViewContext;
}): React.JSX.Element {
  const { remoteKernels, trans } = props.context;
  const { value, error } = remoteKernels.snapshots;
  if (error && !value) {
    return (
      <Blank
        alert
        title={trans.__('Snapshots cannot be listed')}
        text={asSentences(error.message)}
        hint={asSentences(error.hint)}
        action={{
          label: trans.__('Retry'),
          run: () => void remoteKernels.snapshots.refresh()
        }}
      />
    );
  }
  if (!value) {
    return <Blank title={trans.__('Loading…')} />;
  }
  if (value.length === 0) {
    return (
      <Blank
        title={trans.__('No snapshots yet')}
        text={trans.__(
          'A snapshot holds the variables of a kernel. Take one of a running runtime, or pause it.'
        )}
      />
    );
  }
  return (
    <ul className="jp-RemoteKernels-list" aria-label={trans.__('Snapshots')}>
      {value.map(snapshot => (
        <SnapshotRow
          key={snapshot.id}
          context={props.context}
          snapshot={snapshot}
        />
      ))}
    </ul>
  );
}

function SnapshotRow(props: {
  context: IViewContext;
  snapshot: ISnapshot;
}): React.JSX.Element {
  const { snapshot } = props;
  const { remoteKernels, commands, trans } = props.context;
  const { id, automatic, description, not_carried, problem } = snapshot;
  const title = snapshotTitle(snapshot, remoteKernels, trans);
  const facts = snapshotFacts(snapshot, remoteKernels, trans);
  const Icon = problem ? stateIcons.failed : snapshotIcon;
  return (
    <li className={`jp-RemoteKernels-row ${SNAPSHOT_CLASS}`} data-snapshot={id}>
      <Icon.react tag="span" className="jp-RemoteKernels-icon" />
      <div className="jp-RemoteKernels-body">
        <div className="jp-RemoteKernels-title" title={title}>
          {title}
        </div>
        {description && (
          <div className="jp-RemoteKernels-excerpt" title={description}>
            {description}
          </div>
        )}
        {problem && <div>{describeSnapshotProblem(problem, trans)}</div>}
        <div className="jp-RemoteKernels-line">{facts.join(' · ')}</div>
        {automatic && !problem && (
          <div className="jp-RemoteKernels-line">
            {trans.__('Taken by a pause; rename it to keep it')}
          </div>
        )}
        <div className="jp-RemoteKernels-rowActions">
          {ROW_ACTIONS.map(command => (
            <CommandButton
              key={command}
              commands={commands}
              command={command}
              args={{ snapshot: id }}
              subject={title}
            />
          ))}
        </div>
        {not_carried.length > 0 && (
          <NotCarried variables={not_carried} trans={trans} />
        )}
      </div>
    </li>
  );
}

function NotCarried(props: {
  variables: ReadonlyArray<IVariableFate>;
  trans: TranslationBundle;
}): React.JSX.Element {
  const { variables, trans } = props;
  return (
    <details className="jp-RemoteKernels-group">
      <summary>
        {trans._n(
          'One variable is not in it',
          '%1 variables are not in it',
          variables.length
        )}
      </summary>
      <FateList
        variables={variables}
        describe={variable => describeReason(variable, trans)}
      />
    </details>
  );
}

import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import { formatCredits, formatDuration } from '../amounts';
import type { IEnvironment, IEnvironmentProblem } from '../api';
import { asSentences, describeResources } from '../format';
import { remoteKernelsIcon, stateIcons } from '../icons';
import { CommandIDs } from '../tokens';
import { Blank, CommandButton, Obstacle, type IViewContext } from './common';

/** The class that context menus select a row by. */
export const ENVIRONMENT_CLASS = 'jp-RemoteKernels-environment';

/** What can be done with an environment besides launching it. */
const ROW_ACTIONS = [
  CommandIDs.editEnvironment,
  CommandIDs.duplicateEnvironment,
  CommandIDs.deleteEnvironment
];

/** The section of the panel that lists the environments. */
export class EnvironmentsView extends ReactWidget {
  constructor(context: IViewContext) {
    super();
    this._context = context;
    this.addClass('jp-RemoteKernels-section');
  }

  protected override render(): React.JSX.Element {
    return (
      <UseSignal signal={this._context.remoteKernels.changed}>
        {() => (
          <>
            <ProblemList context={this._context} />
            <EnvironmentList context={this._context} />
          </>
        )}
      </UseSignal>
    );
  }

  private readonly _context: IViewContext;
}

/** The files that are no environments, and why. */
function ProblemList(props: {
  context: IViewContext;
}): React.JSX.Element | null {
  const { remoteKernels, trans } = props.context;
  const problems = remoteKernels.environmentProblems;
  if (problems.length === 0) {
    return null;
  }
  return (
    <ul
      className="jp-RemoteKernels-list jp-RemoteKernels-problems"
      aria-label={trans.__('Files that are wrong')}
    >
      {problems.map(problem => (
        <ProblemRow
          key={`${problem.file} ${problem.key}`}
          problem={problem}
          context={props.context}
        />
      ))}
    </ul>
  );
}

function ProblemRow(props: {
  context: IViewContext;
  problem: IEnvironmentProblem;
}): React.JSX.Element {
  const { file, key, reason } = props.problem;
  const { trans } = props.context;
  return (
    <li className="jp-RemoteKernels-row">
      <stateIcons.failed.react tag="span" className="jp-RemoteKernels-icon" />
      <div className="jp-RemoteKernels-body">
        <div className="jp-RemoteKernels-title" title={file}>
          {file.split('/').pop()}
        </div>
        <div>
          {key
            ? trans.__('%1: %2', key, asSentences(reason))
            : asSentences(reason)}
        </div>
        <div className="jp-RemoteKernels-line">{file}</div>
      </div>
    </li>
  );
}

function EnvironmentList(props: {
  context: IViewContext;
}): React.JSX.Element | null {
  const { remoteKernels, trans } = props.context;
  if (remoteKernels.environments.length > 0) {
    return (
      <ul
        className="jp-RemoteKernels-list"
        aria-label={trans.__('Environments')}
      >
        {remoteKernels.environments.map(environment => (
          <EnvironmentRow
            key={environment.name}
            context={props.context}
            environment={environment}
          />
        ))}
      </ul>
    );
  }
  // The section above gives the reason, and one way to retry is enough.
  if (remoteKernels.status === 'missing' || remoteKernels.status === 'error') {
    return null;
  }
  return remoteKernels.status === 'loading' ? (
    <Obstacle context={props.context} />
  ) : (
    <Blank
      title={trans.__('No environments')}
      text={trans.__('The configuration of this server names none.')}
    />
  );
}

function EnvironmentRow(props: {
  context: IViewContext;
  environment: IEnvironment;
}): React.JSX.Element {
  const { commands } = props.context;
  const { environment } = props;
  const args = { environment: environment.name };
  const name = environment.display_name;
  return (
    <li
      className={`jp-RemoteKernels-row ${ENVIRONMENT_CLASS}`}
      data-environment={environment.name}
    >
      <remoteKernelsIcon.react tag="span" className="jp-RemoteKernels-icon" />
      <div className="jp-RemoteKernels-body">
        <div className="jp-RemoteKernels-heading">
          <div className="jp-RemoteKernels-title" title={name}>
            {name}
          </div>
          <LaunchButton context={props.context} environment={environment} />
        </div>
        {environment.description && (
          <div
            className="jp-RemoteKernels-excerpt"
            title={environment.description}
          >
            {environment.description}
          </div>
        )}
        <div className="jp-RemoteKernels-heading">
          <div className="jp-RemoteKernels-line">
            {describeEnvironment(props.context, environment)}
          </div>
          {ROW_ACTIONS.map(command => (
            <CommandButton
              key={command}
              commands={commands}
              command={command}
              args={args}
              subject={name}
            />
          ))}
        </div>
      </div>
    </li>
  );
}

function LaunchButton(props: {
  context: IViewContext;
  environment: IEnvironment;
}): React.JSX.Element | null {
  const { commands, trans } = props.context;
  const { name, display_name } = props.environment;
  // The dialog is a plugin of its own, which may be disabled.
  if (!commands.hasCommand(CommandIDs.launch)) {
    return null;
  }
  return (
    <button
      type="button"
      className="jp-RemoteKernels-textButton"
      aria-label={trans.__('Launch %1', display_name)}
      title={trans.__('Start a runtime of this environment')}
      onClick={() =>
        void commands.execute(CommandIDs.launch, { environment: name })
      }
    >
      {trans.__('Launch…')}
    </button>
  );
}

/** Whose it is, where it runs, what it gives, how long and for how much. */
function describeEnvironment(
  { trans }: IViewContext,
  environment: IEnvironment
): string {
  const { default_lease_s, credits_per_hour } = environment;
  return [
    environment.kind === 'user' ? trans.__('yours') : trans.__('platform'),
    environment.provider,
    describeResources(environment.resources, trans),
    default_lease_s === null ? '' : formatDuration(default_lease_s, trans),
    credits_per_hour > 0
      ? trans.__('%1 an hour', formatCredits(credits_per_hour, trans))
      : ''
  ]
    .filter(text => !!text)
    .join(' · ');
}

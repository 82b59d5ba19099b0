import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { IEnvironment } from '../api';
import { describeResources } from '../format';
import { remoteKernelsIcon } from '../icons';
import { CommandIDs } from '../tokens';
import { Blank, Obstacle, type IViewContext } from './common';

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
        {() => <EnvironmentList context={this._context} />}
      </UseSignal>
    );
  }

  private readonly _context: IViewContext;
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
  const { commands, trans } = props.context;
  const { environment } = props;
  const resources = describeResources(environment.resources, trans);
  const facts = [environment.provider, resources].filter(text => !!text);
  return (
    <li
      className="jp-RemoteKernels-row jp-RemoteKernels-environment"
      data-environment={environment.name}
    >
      <remoteKernelsIcon.react tag="span" className="jp-RemoteKernels-icon" />
      <div className="jp-RemoteKernels-body">
        <div
          className="jp-RemoteKernels-title"
          title={environment.display_name}
        >
          {environment.display_name}
        </div>
        <div className="jp-RemoteKernels-line">
          {facts.join(' · ')}
          {environment.kind === 'user' && ` · ${trans.__('yours')}`}
        </div>
      </div>
      <button
        type="button"
        className="jp-RemoteKernels-textButton"
        aria-label={trans.__('Launch %1', environment.display_name)}
        title={trans.__('Start a runtime of this environment')}
        onClick={() =>
          void commands.execute(CommandIDs.launch, {
            environment: environment.name
          })
        }
      >
        {trans.__('Launch')}
      </button>
    </li>
  );
}

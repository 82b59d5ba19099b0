import type { TranslationBundle } from '@jupyterlab/translation';
import type { LabIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyJSONObject } from '@lumino/coreutils';
import * as React from 'react';

import { asSentences } from '../format';
import { CommandIDs, type IRemoteKernels } from '../tokens';

/** What every view of the panel needs. */
export interface IViewContext {
  readonly remoteKernels: IRemoteKernels;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
}

/** A button for a command, with the command's own label, icon and state. */
export function CommandButton(props: {
  commands: CommandRegistry;
  command: string;
  args: ReadonlyJSONObject;
  /** What the command is about: icons alone do not tell rows apart to a screen reader. */
  subject: string;
  tabIndex?: number;
}): React.JSX.Element | null {
  const { commands, command, args, subject } = props;
  if (!commands.hasCommand(command) || !commands.isVisible(command, args)) {
    return null;
  }
  const label = commands.label(command, args);
  const icon = commands.icon(command, args) as LabIcon | undefined;
  return (
    <button
      type="button"
      className="jp-RemoteKernels-action"
      title={commands.caption(command, args) || label}
      aria-label={`${label}: ${subject}`}
      disabled={!commands.isEnabled(command, args)}
      tabIndex={props.tabIndex}
      onClick={event => {
        event.stopPropagation();
        void commands.execute(command, args);
      }}
    >
      {icon ? <icon.react tag="span" /> : label}
    </button>
  );
}

/** What is shown in place of a list: why there is none, and what to do about it. */
export function Blank(props: {
  title: string;
  text?: string;
  hint?: string;
  action?: { label: string; run: () => void };
  alert?: boolean;
}): React.JSX.Element {
  return (
    <div
      className="jp-RemoteKernels-blank"
      role={props.alert ? 'alert' : undefined}
    >
      <div className="jp-RemoteKernels-blank-title">{props.title}</div>
      {props.text && <div>{props.text}</div>}
      {props.hint && <div>{props.hint}</div>}
      {props.action && (
        <button
          type="button"
          className="jp-RemoteKernels-textButton"
          onClick={props.action.run}
        >
          {props.action.label}
        </button>
      )}
    </div>
  );
}

/** The reason for which nothing can be listed, or `null` when something can. */
export function Obstacle(props: {
  context: IViewContext;
}): React.JSX.Element | null {
  const { remoteKernels, commands, trans } = props.context;
  const retry = {
    label: trans.__('Retry'),
    run: () => void commands.execute(CommandIDs.refresh)
  };
  switch (remoteKernels.status) {
    case 'loading':
      return <Blank title={trans.__('Loading…')} />;
    case 'missing':
      return (
        <Blank
          alert
          title={trans.__('The server extension is not running')}
          text={trans.__(
            'This page has the JupyterLab part of remote kernels; the Jupyter server lacks its own.'
          )}
          hint={trans.__(
            'Install jupyter_remote_kernels in the environment of the server, then restart the server.'
          )}
          action={retry}
        />
      );
    case 'error': {
      const error = remoteKernels.error;
      return (
        <Blank
          alert
          title={error?.title || trans.__('Remote kernels cannot be listed')}
          text={asSentences(error?.detail)}
          hint={asSentences(error?.hint)}
          action={retry}
        />
      );
    }
    case 'ready':
      return null;
  }
}

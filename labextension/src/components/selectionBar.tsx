import * as React from 'react';

import { CommandIDs } from '../tokens';
import type { IViewContext } from './common';

/** What can be done with several runtimes at once. */
const ACTIONS = [CommandIDs.pause, CommandIDs.terminate];

/** Above the list, while runtimes are selected: how many, and what can be done with them. */
export function SelectionBar(props: {
  context: IViewContext;
  ids: ReadonlyArray<string>;
  clear: () => void;
}): React.JSX.Element | null {
  const { ids, clear } = props;
  const { commands, trans } = props.context;
  if (ids.length === 0) {
    return null;
  }
  const labels: Readonly<Record<string, string>> = {
    [CommandIDs.pause]: trans.__('Pause…'),
    [CommandIDs.terminate]: trans.__('Terminate…')
  };
  const args = { runtime_ids: [...ids] };
  return (
    <div
      className="jp-RemoteKernels-selection"
      role="group"
      aria-label={trans.__('Selected runtimes')}
    >
      <span role="status">
        {trans._n('%1 selected', '%1 selected', ids.length)}
      </span>
      {ACTIONS.filter(command => commands.hasCommand(command)).map(command => (
        <button
          key={command}
          type="button"
          className="jp-RemoteKernels-textButton"
          disabled={!commands.isEnabled(command, args)}
          onClick={() => void commands.execute(command, args)}
        >
          {labels[command]}
        </button>
      ))}
      <button
        type="button"
        className="jp-RemoteKernels-textButton"
        onClick={clear}
      >
        {trans.__('Clear')}
      </button>
    </div>
  );
}

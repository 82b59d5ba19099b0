import * as React from 'react';

import type { IVolume } from '../api';
import { asSentences, formatBytes, formatTime } from '../format';
import { CommandIDs } from '../tokens';
import { Blank, CommandButton, type IViewContext } from './common';

/** The user's volumes. */
export function VolumeList(props: {
  context: IViewContext;
}): React.JSX.Element {
  const { remoteKernels, commands, trans } = props.context;
  const { value, error } = remoteKernels.volumes;
  if (error && !value) {
    return (
      <Blank
        alert
        title={trans.__('Volumes cannot be listed')}
        text={asSentences(error.message)}
        hint={asSentences(error.hint)}
        action={{
          label: trans.__('Retry'),
          run: () => void remoteKernels.volumes.refresh()
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
        title={trans.__('No volumes yet')}
        text={trans.__('What is kept in a volume outlives its runtimes.')}
        action={{
          label: trans.__('Create Volume…'),
          run: () => void commands.execute(CommandIDs.createVolume)
        }}
      />
    );
  }
  return (
    <ul className="jp-RemoteKernels-list" aria-label={trans.__('Volumes')}>
      {value.map(volume => (
        <VolumeRow key={volume.name} context={props.context} volume={volume} />
      ))}
    </ul>
  );
}

function VolumeRow(props: {
  context: IViewContext;
  volume: IVolume;
}): React.JSX.Element {
  const { volume } = props;
  const { remoteKernels, commands, trans } = props.context;
  const users = volume.used_by.map(id => remoteKernels.find(id)?.name ?? id);
  const facts = [
    volume.size_bytes === null ? '' : formatBytes(volume.size_bytes),
    trans.__('created %1', formatTime(volume.created_at))
  ].filter(text => !!text);
  return (
    <li className="jp-RemoteKernels-row" data-volume={volume.name}>
      <div className="jp-RemoteKernels-body">
        <div
          className="jp-RemoteKernels-title"
          title={volume.path ?? volume.name}
        >
          {volume.name}
        </div>
        <div className="jp-RemoteKernels-line">{facts.join(' · ')}</div>
        {users.length > 0 && (
          <div className="jp-RemoteKernels-line">
            {trans.__('Used by %1', users.join(', '))}
          </div>
        )}
      </div>
      <CommandButton
        commands={commands}
        command={CommandIDs.deleteVolume}
        args={{ volume: volume.name }}
        subject={volume.name}
      />
    </li>
  );
}

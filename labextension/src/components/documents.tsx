import * as React from 'react';

import type { IConnectedDocument, IRuntime } from '../api';
import { isComing } from '../format';
import { CommandIDs } from '../tokens';
import type { IViewContext } from './common';

/** The documents that use a runtime, each with a link to it. */
export function Documents(props: {
  context: IViewContext;
  runtime: IRuntime;
  tabIndex: number;
}): React.JSX.Element | null {
  const { commands, trans } = props.context;
  const { runtime } = props;
  if (runtime.notebooks.length === 0) {
    return isComing(runtime) || runtime.phase !== 'running' ? null : (
      <div className="jp-RemoteKernels-line">
        {trans.__('No notebook connected')}
      </div>
    );
  }
  // As with the actions: only the buttons of the current row are in the way of the Tab key.
  return (
    <div className="jp-RemoteKernels-documents">
      {runtime.notebooks.map(document => (
        <DocumentLink
          key={document.session_id}
          document={document}
          open={() =>
            void commands.execute(CommandIDs.openNotebook, {
              runtime_id: runtime.id,
              path: document.path
            })
          }
          label={trans.__('Open %1', document.path)}
          tabIndex={props.tabIndex}
        />
      ))}
    </div>
  );
}

function DocumentLink(props: {
  document: IConnectedDocument;
  open: () => void;
  label: string;
  tabIndex: number;
}): React.JSX.Element {
  const { path, name, type } = props.document;
  if (type !== 'notebook') {
    return <span title={path}>{name || path}</span>;
  }
  return (
    <button
      type="button"
      className="jp-RemoteKernels-link"
      title={props.label}
      tabIndex={props.tabIndex}
      onClick={props.open}
    >
      {path.split('/').pop() || name}
    </button>
  );
}

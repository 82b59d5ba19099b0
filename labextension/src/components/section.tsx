import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { ILoadable } from '../loadable';
import type { IViewContext } from './common';

/** A section of the panel about something that is read when somebody looks at it. */
export class SectionView extends ReactWidget {
  /**
   * @param context - what all views share
   * @param source - what is read
   * @param Content - what shows it
   */
  constructor(
    context: IViewContext,
    source: ILoadable<unknown>,
    Content: React.FunctionComponent<{ context: IViewContext }>
  ) {
    super();
    this._context = context;
    this._source = source;
    this._Content = Content;
    this.addClass('jp-RemoteKernels-section');
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    void this._source.refresh();
  }

  protected override render(): React.JSX.Element {
    const { _Content: Content, _context: context, _source: source } = this;
    return (
      <UseSignal signal={source.changed}>
        {() => <Content context={context} />}
      </UseSignal>
    );
  }

  private readonly _context: IViewContext;
  private readonly _source: ILoadable<unknown>;
  private readonly _Content: React.FunctionComponent<{
    context: IViewContext;
  }>;
}

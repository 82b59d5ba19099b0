import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { ILogPage } from '../api';
import { RemoteKernelsError } from '../errors';
import { asSentences, formatBytes } from '../format';
import { Blank } from './common';

/** How much of a log is read at a time. */
export const LOG_PAGE_BYTES = 64 * 1024;

/** Terminal colours and cursor moves mean nothing here. */
// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b\[[0-9;?]*[ -/]*[@-~]/g;

/**
 * The log of a runtime: its end first, earlier pages and what is new on demand.
 */
export class LogView extends ReactWidget {
  constructor(options: {
    read: (offset: number, limit: number) => Promise<ILogPage>;
    trans: TranslationBundle;
  }) {
    super();
    this._read = options.read;
    this._trans = options.trans;
    this.addClass('jp-RemoteKernels-logs');
  }

  /** Whether there is text before what is shown. */
  get hasEarlier(): boolean {
    return this._start > 0;
  }

  /** Read what was written since the last time. */
  async refresh(): Promise<void> {
    await this._guard(async () => {
      if (!this._isLoaded) {
        await this._readEnd();
      } else {
        await this._readRest();
      }
    });
  }

  /** Read the page before what is shown. */
  async showEarlier(): Promise<void> {
    await this._guard(async () => {
      const offset = Math.max(0, this._start - LOG_PAGE_BYTES);
      const page = await this._read(offset, this._start - offset);
      this._text = page.text + this._text;
      this._start = page.offset;
    });
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    void this.refresh();
  }

  protected override onUpdateRequest(msg: Message): void {
    const { node } = this;
    const isAtEnd = node.scrollHeight - node.scrollTop - node.clientHeight < 20;
    super.onUpdateRequest(msg);
    if (isAtEnd) {
      void this.renderPromise?.then(() => {
        node.scrollTop = node.scrollHeight;
      });
    }
  }

  protected override render(): React.JSX.Element {
    const trans = this._trans;
    if (this._error) {
      return (
        <Blank
          alert
          title={this._error.title || trans.__('The log cannot be read')}
          text={asSentences(this._error.detail)}
          hint={asSentences(this._error.hint)}
          action={{
            label: trans.__('Retry'),
            run: () => void this.refresh()
          }}
        />
      );
    }
    if (!this._isLoaded) {
      return <Blank title={trans.__('Loading…')} />;
    }
    if (!this._text) {
      return <Blank title={trans.__('Nothing has been written yet')} />;
    }
    return (
      <>
        {this._start > 0 && (
          <Blank
            title={trans.__('%1 before this', formatBytes(this._start))}
            action={{
              label: trans.__('Show Earlier'),
              run: () => void this.showEarlier()
            }}
          />
        )}
        <pre tabIndex={0} aria-label={trans.__('Kernel log')}>
          {this._text.replace(ESCAPES, '')}
        </pre>
      </>
    );
  }

  private async _readEnd(): Promise<void> {
    let page = await this._read(0, LOG_PAGE_BYTES);
    if (page.next_offset < page.size_bytes) {
      page = await this._read(page.size_bytes - LOG_PAGE_BYTES, LOG_PAGE_BYTES);
    }
    this._text = page.text;
    this._start = page.offset;
    this._end = page.next_offset;
    this._isLoaded = true;
  }

  private async _readRest(): Promise<void> {
    let page: ILogPage;
    do {
      page = await this._read(this._end, LOG_PAGE_BYTES);
      this._text += page.text;
      const hasMoved = page.next_offset > this._end;
      this._end = page.next_offset;
      if (!hasMoved) {
        break;
      }
    } while (this._end < page.size_bytes);
  }

  /** One request at a time, and every failure shown in the view. */
  private async _guard(work: () => Promise<void>): Promise<void> {
    if (this._isBusy) {
      return;
    }
    this._isBusy = true;
    try {
      await work();
      this._error = null;
    } catch (error) {
      this._error = RemoteKernelsError.from(error);
    } finally {
      this._isBusy = false;
    }
    this.update();
  }

  private readonly _read: (offset: number, limit: number) => Promise<ILogPage>;
  private readonly _trans: TranslationBundle;
  private _text = '';
  private _start = 0;
  private _end = 0;
  private _isLoaded = false;
  private _isBusy = false;
  private _error: RemoteKernelsError | null = null;
}

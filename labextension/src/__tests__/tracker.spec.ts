import type { Kernel } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';

import { ExecutionTracker, isDone } from '../recovery/tracker';
import type { IMessage } from '../recovery/transcript';
import { idle, makeMessage, reply, said, text } from './messages';

/** A kernel's connection of which a test says what comes. */
class FakeKernel {
  connectionStatus: Kernel.ConnectionStatus = 'connected';
  readonly anyMessage = new Signal<this, Kernel.IAnyMessageArgs>(this);
  readonly iopubMessage = new Signal<this, IMessage>(this);
  readonly connectionStatusChanged = new Signal<this, Kernel.ConnectionStatus>(
    this
  );

  send(cellId: string, id: string): void {
    const msg = {
      ...makeMessage('execute_request', {}, { id, channel: 'shell' }),
      metadata: { cellId }
    };
    this.anyMessage.emit({ msg: msg as IMessage, direction: 'send' });
  }

  receive(...messages: IMessage[]): void {
    for (const msg of messages) {
      this.anyMessage.emit({ msg, direction: 'recv' });
    }
  }

  connect(status: Kernel.ConnectionStatus): void {
    this.connectionStatus = status;
    this.connectionStatusChanged.emit(status);
  }
}

describe('ExecutionTracker', () => {
  let kernel: FakeKernel;
  let tracker: ExecutionTracker;

  beforeEach(() => {
    kernel = new FakeKernel();
    tracker = new ExecutionTracker(
      kernel as unknown as Kernel.IKernelConnection
    );
  });

  it('holds what comes to a page that was just opened', () => {
    kernel.receive(text('a'), text('b'));
    expect(said(tracker.held('run'))).toEqual(['a', 'b']);
  });

  it('hands over what comes after somebody follows', () => {
    const followed: IMessage[] = [];
    kernel.receive(text('a'));
    tracker.follow('run', message => followed.push(message));
    kernel.receive(text('b'));
    tracker.stopHolding();
    kernel.receive(text('c'));
    tracker.follow('run');
    kernel.receive(text('d'));
    expect(said(followed)).toEqual(['b', 'c']);
    expect(tracker.held('run')).toEqual([]);
  });

  it('holds again when the connection is lost', () => {
    const followed: IMessage[] = [];
    tracker.follow('run', message => followed.push(message));
    tracker.stopHolding();
    kernel.connect('connecting');
    kernel.connect('connected');
    kernel.receive(text('a'));
    expect(followed).toEqual([]);
    expect(said(tracker.held('run'))).toEqual(['a']);
  });

  it('does not hold what this page follows itself', () => {
    kernel.send('c', 'run');
    kernel.receive(text('a'));
    expect(tracker.held('run')).toEqual([]);
    expect(tracker.find('run')?.seen.size).toBe(1);
  });

  it('doubts what was not done when the connection was lost', () => {
    kernel.send('c', 'run');
    kernel.send('d', 'other');
    kernel.receive(reply(), idle());
    kernel.connect('connecting');
    expect(tracker.find('run')?.isDoubtful).toBe(false);
    expect(tracker.find('other')?.isDoubtful).toBe(true);
    kernel.connect('connected');
    kernel.receive(makeMessage('stream', { text: 'a' }, { parent: 'other' }));
    expect(said(tracker.held('other'))).toEqual(['a']);
    tracker.settle('other');
    expect(tracker.find('other')?.isDoubtful).toBe(false);
    expect(tracker.held('other')).toEqual([]);
  });

  it('knows what JupyterLab has not handled', () => {
    kernel.send('c', 'run');
    const message = text('a');
    kernel.receive(message);
    expect(tracker.find('run')?.pending.size).toBe(1);
    kernel.iopubMessage.emit(message);
    expect(tracker.find('run')?.pending.size).toBe(0);
  });

  it('forgets ids of what is done', () => {
    kernel.send('c', 'run');
    kernel.receive(text('a'), reply(), idle());
    const own = tracker.find('run');
    expect(own && isDone(own)).toBe(true);
    expect(own?.seen.size).toBe(0);
  });

  it('knows the last run of a cell only', () => {
    kernel.send('c', 'first');
    kernel.send('c', 'second');
    expect(tracker.latest('c')?.msgId).toBe('second');
    expect(tracker.find('first')).toBeUndefined();
  });

  it('does not count on what waits for a connection', () => {
    kernel.connect('connecting');
    kernel.send('c', 'run');
    expect(tracker.find('run')?.wentOut).toBe(false);
  });
});

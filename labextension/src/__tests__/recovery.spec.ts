import type { IExecution } from '../executionsApi';
import {
  chooseStep,
  findLost,
  planRepair,
  type IKnown
} from '../recovery/plan';
import {
  RecoveredExecution,
  type IInputKernel
} from '../recovery/recoveredExecution';
import type { IOwnExecution } from '../recovery/tracker';
import type { IMessage } from '../recovery/transcript';
import { idle, makeMessage, question, reply, said, text } from './messages';

function makeOwn(changes: Partial<IOwnExecution> = {}): IOwnExecution {
  return {
    msgId: 'run',
    cellId: 'c',
    sentAt: 0,
    wentOut: true,
    seen: new Set(),
    pending: new Set(),
    isDoubtful: true,
    hasReply: false,
    isIdle: false,
    ...changes
  };
}

const seen = (...messages: IMessage[]): Set<string> =>
  new Set(messages.map(({ header }) => header.msg_id));

describe('chooseStep', () => {
  const known: IKnown = {
    hasCell: true,
    isShown: false,
    own: undefined,
    isFollowed: false,
    isRecovering: false,
    isRerun: false
  };
  const certain = makeOwn({ isDoubtful: false });

  it.each<[string, Partial<IKnown>, string]>([
    ['a page that was just opened', {}, 'recover'],
    ['shown before', { isShown: true }, 'leave'],
    ['run again meanwhile', { isRerun: true }, 'leave'],
    ['never saved', { hasCell: false }, 'report'],
    ['removed on this page', { hasCell: false, own: certain }, 'leave'],
    ['lost once more', { isRecovering: true }, 'resume'],
    ['followed all the time', { own: certain, isFollowed: true }, 'leave'],
    ['finished before', { own: certain }, 'leave'],
    ['in doubt', { own: makeOwn(), isFollowed: true }, 'repair'],
    ['in doubt, and nobody follows', { own: makeOwn() }, 'recover']
  ])('%s', (_, changes, step) => {
    expect(chooseStep({ ...known, ...changes })).toBe(step);
  });
});

describe('findLost', () => {
  const kept = [{ msg_id: 'kept' }] as unknown as IExecution[];

  it('finds what the server does not know', () => {
    const own = [makeOwn({ msgId: 'kept' }), makeOwn({ msgId: 'lost' })];
    expect(findLost(own, kept).map(({ msgId }) => msgId)).toEqual(['lost']);
  });

  it('leaves what may still be on its way', () => {
    expect(findLost([makeOwn({ wentOut: false })], kept)).toEqual([]);
    expect(findLost([makeOwn({ isDoubtful: false })], kept)).toEqual([]);
    expect(findLost([makeOwn({ seen: new Set(['m']) })], kept)).toEqual([]);
  });
});

describe('planRepair', () => {
  const [a, b, c] = [text('a'), text('b'), text('c')];
  const [done, ended] = [reply(), idle()];

  it('does nothing when nothing is missing', () => {
    const own = makeOwn({ seen: seen(a, b) });
    expect(planRepair([a, b], own)).toBeNull();
  });

  it('adds what is missing at the end', () => {
    const own = makeOwn({ seen: seen(a) });
    const repair = planRepair([a, b, c, done, ended], own);
    expect(repair?.clear).toBe(false);
    expect(said(repair?.outputs ?? [])).toEqual(['b', 'c']);
    expect(repair?.others).toEqual([done, ended]);
  });

  it('does not draw anew when only the end is missing', () => {
    const own = makeOwn({ seen: seen(a, b, done) });
    const repair = planRepair([a, b, done, ended], own);
    expect(repair).toEqual({ clear: false, outputs: [], others: [ended] });
  });

  it('draws anew when something in the middle is missing', () => {
    const own = makeOwn({ seen: seen(a, c) });
    const repair = planRepair([a, b, c], own);
    expect(repair?.clear).toBe(true);
    expect(said(repair?.outputs ?? [])).toEqual(['a', 'b', 'c']);
  });

  it('leaves to JupyterLab what it has not shown yet', () => {
    const own = makeOwn({ seen: seen(a, c), pending: seen(c) });
    expect(said(planRepair([a, b, c], own)?.outputs ?? [])).toEqual(['a', 'b']);
  });

  it('asks again when the question was cleared with the rest', () => {
    const asked = question('Name?');
    const own = makeOwn({ seen: seen(a, c, asked) });
    expect(planRepair([a, b, c, asked], own)?.others).toEqual([asked]);
  });

  it('counts what comes twice once', () => {
    const own = makeOwn({ seen: seen(a) });
    expect(said(planRepair([a, b, b, a], own)?.outputs ?? [])).toEqual(['b']);
  });
});

describe('RecoveredExecution', () => {
  let kernel: IInputKernel & { sent: unknown[] };
  let execution: RecoveredExecution;
  let shown: IMessage[];

  beforeEach(() => {
    jest.useFakeTimers();
    const sent: unknown[] = [];
    kernel = {
      sent,
      hasPendingInput: false,
      sendInputReply: (content: unknown) => void sent.push(content)
    } as typeof kernel;
    const messages = [makeMessage('execute_input', { code: 'f()' })];
    execution = new RecoveredExecution({
      kernel,
      msgId: 'run',
      cellId: 'c',
      messages
    });
    shown = [];
    execution.onIOPub = msg => void shown.push(msg as IMessage);
    execution.onStdin = msg => void shown.push(msg as IMessage);
    execution.onReply = msg => void shown.push(msg as IMessage);
  });

  afterEach(() => jest.useRealTimers());

  it('is what the request was', () => {
    expect(execution.msg.header.msg_id).toBe('run');
    expect(execution.msg.content.code).toBe('f()');
  });

  it('shows each message once, in order', () => {
    const [a, b] = [text('a'), text('b')];
    execution.feed([a, b]);
    execution.feed([b, text('c')]);
    expect(said(shown)).toEqual(['ab', 'c']);
  });

  it('is done with the reply and the end', async () => {
    execution.feed([text('a'), reply()]);
    expect(execution.isDone).toBe(false);
    execution.feed([idle()]);
    expect(execution.isDone).toBe(true);
    expect((await execution.done).content.execution_count).toBe(7);
  });

  it('collects what comes live', () => {
    const lines = Array.from({ length: 1000 }, (_, i) => text(`${i}\n`));
    lines.forEach(line => execution.receive(line));
    expect(shown).toHaveLength(0);
    jest.runAllTimers();
    expect(shown).toHaveLength(1);
  });

  it('asks, and sends the answer', () => {
    execution.feed([question('Name?')]);
    expect(said(shown)).toEqual(['input_request']);
    expect(kernel.hasPendingInput).toBe(true);
    execution.sendInputReply({ status: 'ok', value: 'Ada' }, {} as never);
    expect(kernel.sent).toEqual([{ status: 'ok', value: 'Ada' }]);
  });

  it('lets a hook keep a message', () => {
    execution.registerMessageHook(msg => msg.header.msg_type !== 'stream');
    execution.feed([text('a'), makeMessage('display_data')]);
    expect(said(shown)).toEqual(['display_data']);
  });

  it('shows nothing more when the cell has gone', async () => {
    execution.receive(text('a'));
    execution.dispose();
    jest.runAllTimers();
    execution.feed([text('b')]);
    expect(shown).toEqual([]);
    await expect(execution.done).rejects.toThrow('Canceled');
  });

  it('ends without a reply when the kernel has gone', async () => {
    execution.finish();
    expect(execution.isDone).toBe(true);
    await expect(execution.done).rejects.toThrow('Canceled');
  });
});

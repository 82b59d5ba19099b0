import type {
  IExecution,
  IExecutionsApi,
  IKeptMessage
} from '../executionsApi';
import {
  codeOf,
  mergeStreams,
  readTranscript,
  withAnswers,
  withoutRepeats
} from '../recovery/transcript';
import { idle, makeMessage, question, said, text } from './messages';

describe('mergeStreams', () => {
  it('puts text in a row together', () => {
    const merged = mergeStreams([text('a'), text('b'), text('c')]);
    expect(said(merged)).toEqual(['abc']);
  });

  it('keeps the order of different outputs', () => {
    const messages = [
      text('a'),
      text('b', undefined, 'stderr'),
      text('c'),
      makeMessage('display_data'),
      text('d')
    ];
    expect(said(mergeStreams(messages))).toEqual([
      'a',
      'b',
      'c',
      'display_data',
      'd'
    ]);
  });

  it('does not let what changes no output come between', () => {
    const messages = [text('a'), makeMessage('execute_input'), text('b')];
    expect(said(mergeStreams(messages))).toContain('ab');
  });

  it('does not put text together across a clearing', () => {
    const messages = [text('a'), makeMessage('clear_output'), text('b')];
    expect(said(mergeStreams(messages))).toEqual(['a', 'clear_output', 'b']);
  });

  it('takes ten thousand lines in no time', () => {
    const lines = Array.from({ length: 10_000 }, (_, i) => text(`line ${i}\n`));
    const begin = performance.now();
    const merged = mergeStreams(lines);
    expect(performance.now() - begin).toBeLessThan(200);
    expect(merged).toHaveLength(1);
    expect(said(merged)[0].split('\n')).toHaveLength(10_001);
  });
});

describe('withAnswers', () => {
  const answer = (value: string) =>
    makeMessage('input_reply', { value }, { channel: 'stdin' });

  it('shows an answer as JupyterLab does', () => {
    const messages = [question('Name?'), answer('Ada'), text('Hello')];
    expect(said(withAnswers(messages, false))).toEqual([
      'Name? Ada\n',
      'Hello'
    ]);
  });

  it('leaves the question that waits', () => {
    const messages = [question('A?'), answer('1'), question('B?')];
    expect(said(withAnswers(messages, true))).toEqual([
      'A? 1\n',
      'input_request'
    ]);
  });

  it('does not show a secret', () => {
    expect(said(withAnswers([question('Key?'), text('ok')], false))).toEqual([
      'Key? ········\n',
      'ok'
    ]);
  });
});

test('the code that was run', () => {
  const input = makeMessage('execute_input', { code: '1 + 1' });
  expect(codeOf([text('a'), input])).toBe('1 + 1');
  expect(codeOf([text('a')])).toBeNull();
});

test('each message once', () => {
  const messages = [text('a', 'x'), text('b', 'y'), text('a', 'x')];
  expect(said(withoutRepeats(messages))).toEqual(['a', 'b']);
});

describe('readTranscript', () => {
  const api = (pages: IKeptMessage[][], isStuck = false): IExecutionsApi =>
    ({
      readTranscript: async (_id: string, msg_id: string, offset: number) => ({
        msg_id,
        cell_id: 'c',
        state: 'running',
        offset,
        next_offset: isStuck ? offset : offset + 1,
        complete: !isStuck && offset + 1 >= pages.length,
        messages: pages[offset] ?? []
      })
    }) as unknown as IExecutionsApi;
  const pages = [
    [text('a'), text('b')],
    [text('c'), idle()]
  ] as unknown as IKeptMessage[][];

  it('reads all pages', async () => {
    const read = await readTranscript(api(pages), 'r', 'run');
    expect(said(read.messages)).toEqual(['a', 'b', 'c', 'status']);
    expect(read.next_offset).toBe(2);
  });

  it('goes on where it was', async () => {
    const read = await readTranscript(api(pages), 'r', 'run', 1);
    expect(said(read.messages)).toEqual(['c', 'status']);
  });

  it('asks whether a question still waits', async () => {
    const asked = [[question('Key?')]] as unknown as IKeptMessage[][];
    const readWith = async (pending_input: boolean): Promise<string[]> => {
      const list = [{ msg_id: 'run', pending_input }] as IExecution[];
      const server = { ...api(asked), listExecutions: async () => list };
      return said((await readTranscript(server, 'r', 'run')).messages);
    };
    expect(await readWith(true)).toEqual(['input_request']);
    expect(await readWith(false)).toEqual(['Key? ········\n']);
  });

  it('does not ask for ever', async () => {
    const read = await readTranscript(api(pages, true), 'r', 'run');
    expect(said(read.messages)).toEqual(['a', 'b']);
  });
});

import type { IMessage } from '../recovery/transcript';

let count = 0;

/** A message of a kernel that answers the request `run`. */
export function makeMessage(
  msg_type: string,
  content: object = {},
  changes: { id?: string; parent?: string; channel?: string } = {}
): IMessage {
  count += 1;
  return {
    channel: changes.channel ?? 'iopub',
    header: { msg_id: changes.id ?? `m${count}`, msg_type },
    parent_header: {
      msg_id: changes.parent ?? 'run',
      msg_type: 'execute_request'
    },
    metadata: {},
    content,
    buffers: []
  } as unknown as IMessage;
}

export const text = (words: string, id?: string, name = 'stdout'): IMessage =>
  makeMessage('stream', { name, text: words }, { id });

export const idle = (id?: string): IMessage =>
  makeMessage('status', { execution_state: 'idle' }, { id });

export const reply = (id?: string): IMessage =>
  makeMessage(
    'execute_reply',
    { status: 'ok', execution_count: 7 },
    { id, channel: 'shell' }
  );

export const question = (prompt: string, id?: string): IMessage =>
  makeMessage(
    'input_request',
    { prompt, password: false },
    {
      id,
      channel: 'stdin'
    }
  );

/** What messages say, for short. */
export const said = (messages: ReadonlyArray<IMessage>): string[] =>
  messages.map(
    ({ header, content }) =>
      (content as { text?: string }).text ?? header.msg_type
  );

/**
 * What a run of a cell has put out, as a list of messages. Pure.
 */
import type { KernelMessage } from '@jupyterlab/services';

import type {
  IExecutionsApi,
  IKeptMessage,
  ITranscriptPage
} from '../executionsApi';

export type IMessage = KernelMessage.IMessage;

/** A whole transcript, as far as there is one. */
export interface ITranscript {
  readonly messages: IMessage[];
  /** Where what comes later begins. */
  readonly next_offset: number;
  readonly state: ITranscriptPage['state'];
}

/** Which request a message answers; empty when it answers none. */
export function parentOf(message: IMessage): string {
  return (message.parent_header as Partial<KernelMessage.IHeader>).msg_id ?? '';
}

/** Whether the message says that the kernel is done with a request's outputs. */
export function isIdle(message: IMessage): boolean {
  return (
    message.header.msg_type === 'status' &&
    (message.content as { execution_state?: string }).execution_state === 'idle'
  );
}

/** Whether the message is the kernel's reply to a request to run code. */
export function isReply(message: IMessage): boolean {
  return message.header.msg_type === 'execute_reply';
}

const OUTPUTS: ReadonlySet<string> = new Set([
  'stream',
  'display_data',
  'execute_result',
  'error',
  'update_display_data',
  'clear_output'
]);

/** Whether the message changes what a cell shows. */
export function isOutput(message: IMessage): boolean {
  return OUTPUTS.has(message.header.msg_type);
}

/** The code that was run, where the messages say so. */
export function codeOf(messages: ReadonlyArray<IMessage>): string | null {
  const input = messages.find(
    message => message.header.msg_type === 'execute_input'
  );
  return (input?.content as { code?: string } | undefined)?.code ?? null;
}

/** The display that a message updates; `null` when it updates none. */
export function updatedDisplay(message: IMessage): string | null {
  if (message.header.msg_type !== 'update_display_data') {
    return null;
  }
  const { transient } = message.content as {
    transient?: { display_id?: string };
  };
  return transient?.display_id ?? null;
}

/** Each message once, in the order of their first appearance. */
export function withoutRepeats(messages: ReadonlyArray<IMessage>): IMessage[] {
  const seen = new Set<string>();
  return messages.filter(({ header }) => {
    const isNew = !seen.has(header.msg_id);
    seen.add(header.msg_id);
    return isNew;
  });
}

/** What a page shows in the place of an answer that nobody may read. */
const SECRET = '········';

/**
 * Show the answers that were given as JupyterLab shows them: as text of the cell.
 *
 * @param messages - of one execution, in their order
 * @param isPending - whether the kernel waits for the answer to its last question
 */
export function withAnswers(
  messages: ReadonlyArray<IMessage>,
  isPending: boolean
): IMessage[] {
  const questions = messages.filter(({ channel }) => channel === 'stdin');
  const last = questions[questions.length - 1];
  return messages.flatMap(message => {
    if (message.channel !== 'stdin') {
      return [message];
    }
    if (message.header.msg_type !== 'input_request') {
      return [];
    }
    if (message === last && isPending) {
      return [message];
    }
    const next = questions[questions.indexOf(message) + 1];
    const answer =
      next?.header.msg_type === 'input_reply'
        ? (next.content as { value: string }).value
        : SECRET;
    const { prompt } = message.content as { prompt: string };
    return [asText(message, 'stdin', `${prompt} ${answer}\n`)];
  });
}

/** A message of a kernel that says a text, in the place of another message. */
export function asText(
  message: IMessage,
  name: 'stdin' | 'stdout' | 'stderr',
  text: string
): IMessage {
  return {
    ...message,
    channel: 'iopub',
    header: { ...message.header, msg_type: 'stream' },
    content: { name, text }
  } as IMessage;
}

/**
 * Put text that a cell wrote piece by piece together.
 *
 * Each change of a text costs JupyterLab time in proportion to the whole text: thousands of lines
 * one by one would stop the page for minutes.
 */
export function mergeStreams(messages: ReadonlyArray<IMessage>): IMessage[] {
  const merged: IMessage[] = [];
  let parts: string[] = [];
  let first: IMessage | null = null;
  const flush = (): void => {
    if (first) {
      const content = { ...first.content, text: parts.join('') };
      merged.push({ ...first, content } as IMessage);
    }
    first = null;
    parts = [];
  };
  for (const message of messages) {
    const text = textOf(message);
    if (text === null) {
      // What changes no output does not come between two pieces of text.
      if (isOutput(message)) {
        flush();
      }
      merged.push(message);
    } else {
      if (first && nameOf(first) !== nameOf(message)) {
        flush();
      }
      first = first ?? message;
      parts.push(text);
    }
  }
  flush();
  return merged;
}

function textOf(message: IMessage): string | null {
  if (message.header.msg_type !== 'stream') {
    return null;
  }
  const { text } = message.content as { text: string | string[] };
  return Array.isArray(text) ? text.join('') : text;
}

function nameOf(message: IMessage): string {
  return (message.content as { name: string }).name;
}

/** A kept message as JupyterLab wants it. */
export function asMessage(kept: IKeptMessage): IMessage {
  return { ...kept, buffers: [] } as unknown as IMessage;
}

/** Whether there is a question that no answer is known to. */
function hasOpenQuestion(messages: ReadonlyArray<IMessage>): boolean {
  const questions = messages.filter(({ channel }) => channel === 'stdin');
  return questions[questions.length - 1]?.header.msg_type === 'input_request';
}

/** Read a transcript to its present end, with the answers that were given as text. */
export async function readTranscript(
  api: IExecutionsApi,
  runtimeId: string,
  msgId: string,
  offset = 0
): Promise<ITranscript> {
  const transcript = await readPages(api, runtimeId, msgId, offset);
  let isPending = false;
  if (hasOpenQuestion(transcript.messages)) {
    // An answer that nobody may see is not in the transcript, only that there is one.
    const executions = await api.listExecutions(runtimeId);
    const execution = executions.find(({ msg_id }) => msg_id === msgId);
    isPending = !!execution?.pending_input;
  }
  const messages = withAnswers(transcript.messages, isPending);
  return { ...transcript, messages };
}

async function readPages(
  api: IExecutionsApi,
  runtimeId: string,
  msgId: string,
  offset: number
): Promise<ITranscript> {
  const messages: IMessage[] = [];
  for (;;) {
    const page = await api.readTranscript(runtimeId, msgId, offset);
    for (const kept of page.messages) {
      messages.push(asMessage(kept));
    }
    // A page without progress would be asked for again and again.
    const isStuck = page.next_offset <= offset;
    offset = page.next_offset;
    if (page.complete || isStuck) {
      return {
        messages: withoutRepeats(messages),
        next_offset: offset,
        state: page.state
      };
    }
  }
}

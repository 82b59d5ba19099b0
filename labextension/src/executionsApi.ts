/**
 * The shapes of what the server keeps of the runs of cells.
 */

/** A run of a notebook's cell whose outputs the server keeps. */
export interface IExecution {
  /** The id of the request that started it. */
  readonly msg_id: string;
  readonly cell_id: string;
  readonly state: 'running' | 'finished';
  readonly started_at: string;
  readonly finished_at: string | null;
  readonly execution_count: number | null;
  /** How many messages are kept. */
  readonly messages: number;
  readonly size_bytes: number;
  /** How many could not be kept. */
  readonly dropped_messages: number;
  readonly pending_input: boolean;
}

/** A message of the kernel as the server keeps it. */
export interface IKeptMessage {
  readonly channel: string;
  readonly header: object;
  readonly parent_header: object;
  readonly metadata: object;
  readonly content: object;
}

/** A piece of what an execution has put out. */
export interface ITranscriptPage {
  readonly msg_id: string;
  readonly cell_id: string;
  readonly state: 'running' | 'finished';
  readonly offset: number;
  readonly next_offset: number;
  /** Whether there is nothing more for now. */
  readonly complete: boolean;
  readonly messages: ReadonlyArray<IKeptMessage>;
}

/** What the server keeps of the runs of cells. */
export interface IExecutionsApi {
  listExecutions(id: string): Promise<IExecution[]>;
  readTranscript(
    id: string,
    msgId: string,
    offset: number
  ): Promise<ITranscriptPage>;
  /** The saved notebook holds the outputs: they need not be kept any more. */
  settleExecution(id: string, msgId: string): Promise<void>;
}

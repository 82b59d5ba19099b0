/**
 * The plugins, one by one: each can be disabled, and only the model is needed by the others.
 */
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { commandsPlugin } from './plugins/commands';
import { exitsPlugin } from './plugins/exits';
import { logsPlugin } from './plugins/logs';
import { modelPlugin } from './plugins/model';
import { notebookStatusPlugin } from './plugins/notebook';
import { panelPlugin } from './plugins/panel';

export * from './api';
export * from './errors';
export * from './tokens';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  modelPlugin,
  commandsPlugin,
  panelPlugin,
  logsPlugin,
  notebookStatusPlugin,
  exitsPlugin
];

export default plugins;

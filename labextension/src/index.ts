/**
 * The plugins, one by one: each can be disabled, and only the model is needed by the others.
 */
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { bannerPlugin } from './plugins/banner';
import { commandsPlugin } from './plugins/commands';
import { environmentsPlugin } from './plugins/environments';
import { exitsPlugin } from './plugins/exits';
import { launchPlugin } from './plugins/launch';
import { launcherPlugin } from './plugins/launcher';
import { logsPlugin } from './plugins/logs';
import { modelPlugin } from './plugins/model';
import { notebookStatusPlugin } from './plugins/notebook';
import { panelPlugin } from './plugins/panel';
import { reservationsPlugin } from './plugins/reservations';
import { usagePlugin } from './plugins/usage';
import { volumesPlugin } from './plugins/volumes';
import { warningsPlugin } from './plugins/warnings';

export * from './api';
export * from './errors';
export * from './panel';
export * from './reservations';
export * from './tokens';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  modelPlugin,
  commandsPlugin,
  launchPlugin,
  launcherPlugin,
  panelPlugin,
  environmentsPlugin,
  volumesPlugin,
  usagePlugin,
  logsPlugin,
  notebookStatusPlugin,
  reservationsPlugin,
  warningsPlugin,
  bannerPlugin,
  exitsPlugin
];

export default plugins;

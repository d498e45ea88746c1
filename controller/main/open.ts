import { apps, pipeline } from '../../apps/index.js';
import { ChannelListener, Numbering } from '../channel/index.js';
import { DatapathController } from '../datapath/index.js';
import { Journal } from '../journal/journal.js';
import { Model } from '../model/index.js';
import { PuntService } from '../punt/index.js';
import { channelOptions, WiredController } from './controller.js';
import { makeKubernetes } from './kubernetes.js';
import type { Controller, ControllerOptions } from './types.js';

/** Loads the model from the store, derives every table and wires the parts. Nothing listens before `start`. */
export async function openController(options: ControllerOptions): Promise<Controller> {
  const { store, config, log } = options;
  const logger = log.component('model');
  const numbering = new Numbering();
  const model = await Model.open(store, {
    onProblem: (problem) => {
      logger.warn({ event: problem.code, ...problem }, problem.message);
    },
  });
  const datapaths = new DatapathController({
    pipeline,
    apps,
    numbering,
    auditIntervalMs: config.openflow.auditIntervalMs,
  });
  const channel = new ChannelListener({ ...channelOptions(options), numbering });
  const punts = new PuntService({
    channel,
    datapaths,
    pipeline,
    logger: log.component('policy'),
    ...(config.metrics.rules ? { ruleMetricsIntervalMs: config.metrics.rulesIntervalMs } : {}),
  });
  const journal = await Journal.open(store, {
    folder: 'multicast',
    what: 'group memberships',
    logger: log.component('multicast'),
  });
  const kubernetes = makeKubernetes(model, options);
  const fabricJournal = config.fabric.enabled
    ? await Journal.open(store, {
        folder: 'fabric',
        what: 'what is known of the fabric',
        logger: log.component('fabric'),
      })
    : undefined;
  return new WiredController(options, {
    model,
    datapaths,
    channel,
    numbering,
    punts,
    journal,
    fabricJournal,
    kubernetes,
  });
}

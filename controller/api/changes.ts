/** Turns changes of facts and events of the controller into events of `/v1/watch`. */
import type { FactChange } from '../model/facts.js';
import type { Kind } from '../model/intents.js';
import type { ApiBackend } from './backend.js';
import type { WatchHub } from './watch.js';

const KIND_OF_FACT: Readonly<Record<FactChange['kind'], Kind>> = {
  tenant: 'Tenant',
  network: 'Network',
  endpoint: 'Endpoint',
  host: 'Host',
  group: 'Group',
  addressSet: 'AddressSet',
  policy: 'Policy',
  rule: 'Rule',
  qosProfile: 'QosProfile',
};

/** The returned function ends it. */
export function publishChanges(
  backend: Pick<ApiBackend, 'model' | 'onEvent' | 'onPackets'>,
  watch: WatchHub,
): () => void {
  const { model } = backend;
  const stopFacts = model.onFacts((changes) => {
    for (const { kind, key, value } of changes) {
      const object = KIND_OF_FACT[kind];
      const view = value === undefined ? undefined : model.get(object, key);
      watch.publish({
        type: 'object',
        data: {
          action: view === undefined ? 'deleted' : 'changed',
          kind: object,
          name: key,
          ...(view === undefined ? {} : { object: view }),
        },
      });
    }
  });
  const stopEvents = backend.onEvent((event) =>
    watch.publish({ type: event.event.startsWith('host.') ? 'host' : 'datapath', data: event }),
  );
  const stopPackets = backend.onPackets({
    packet: (event) => watch.publishPacket(event),
    lost: (packets) => watch.packetsLost(packets),
  });
  return () => {
    stopFacts();
    stopEvents();
    stopPackets();
  };
}

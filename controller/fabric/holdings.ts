/** Whether a switch that is remembered has open what is remembered of it. */
import { flowStatsRequest } from '../../ofproto/index.js';
import type { DatapathController } from '../datapath/index.js';
import type { Logger } from '../log.js';
import type { FabricSession } from './switches.js';

export interface HoldingsOptions {
  readonly datapaths: Pick<DatapathController, 'differences'>;
  /** Numbers of the tables without whose entries a port is closed. */
  readonly tables: ReadonlySet<number>;
  readonly logger: Pick<Logger, 'warn'>;
}

/**
 * Reads the tables that open ports. False: something that is desired there is missing, so the switch has lost entries, or they never got to
 * it, or it cannot be read; to bring it into line would open ports of which nobody knows where they lead by now.
 */
export async function holdsWhatIsOpen(
  session: FabricSession,
  { datapaths, tables, logger }: HoldingsOptions,
): Promise<boolean> {
  const { datapathId } = session;
  try {
    const replies = await Promise.all(
      [...tables].map((tableId) =>
        session.multipart({
          type: 'multipart_request',
          more: false,
          xid: session.xid(),
          multipartType: 'flow',
          body: flowStatsRequest({ tableId }),
        }),
      ),
    );
    const flows = replies.flatMap(({ body }) => body);
    const { difference } = await datapaths.differences(datapathId, flows, tables);
    if (difference.missing === 0) return true;
    logger.warn(
      { event: 'fabric.distrusted', datapathId, missing: difference.missing },
      `switch ${datapathId} lacks ${difference.missing} entries that were remembered: its ports are probed anew`,
    );
  } catch (err) {
    if (!session.open) return false;
    logger.warn({ event: 'fabric.distrusted', datapathId, err }, `switch ${datapathId} cannot be read`);
  }
  return false;
}

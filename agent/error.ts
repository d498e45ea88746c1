/**
 * Errors of the agent that people see. `path` names the option or member at fault, `fix` what to do about it.
 *
 * | code | meaning |
 * | --- | --- |
 * | `agent.option.invalid` | an option has a value that makes no sense |
 * | `agent.uplink.unsafe` | making the uplink a port of the bridge would cut off the host |
 * | `agent.uplink.missing`, `agent.vtep.missing` | the interface or the address does not exist on this host |
 * | `agent.bridge.foreign` | the bridge belongs to another controller |
 * | `agent.port.failed` | Open vSwitch could not use the interface |
 * | `agent.namespace.missing`, `agent.interface.missing` | what should be attached does not exist |
 * | `agent.interface.exists` | the namespace has an interface of this name already |
 * | `agent.command.failed` | `ip` or `ethtool` refused |
 * | `agent.disconnected` | there is no connection to the controller, or to Open vSwitch |
 * | `agent.cni.foreign`, `agent.cni.install` | a file of the CNI plugin is somebody else's, or cannot be written |
 * | `agent.switch` | the switch of this host cannot do what is asked |
 * | `agent.running` | another agent serves this local socket |
 */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly path?: string;
  readonly fix?: string;
  constructor(
    readonly code: string,
    message: string,
    detail: { path?: string; fix?: string; cause?: unknown } = {},
  ) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    if (detail.path !== undefined) this.path = detail.path;
    if (detail.fix !== undefined) this.fix = detail.fix;
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

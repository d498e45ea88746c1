/**
 * The command line of `weft`: every command with its options. What a command does is loaded only when it runs, so that
 * `weft get` does not pay for the controller.
 */
import { Argument, Command, Help, Option } from '@commander-js/extra-typings';
import { Client, DEFAULT_SERVER } from './client.js';
import { Exit } from './exit.js';
import { KIND_WORDS } from './kinds.js';
import {
  collect,
  collectPairs,
  icmpMessage,
  list,
  octet,
  portNumber,
  positiveInteger,
  positiveNumber,
  vlanId,
} from './options.js';
import { version } from './version.js';

/** What each exit code means. */
export const EXIT_CODES: Readonly<Record<Exit, string>> = {
  [Exit.ok]: 'done',
  [Exit.error]: 'error: something unexpected, or a file or address that cannot be had',
  [Exit.usage]: 'wrong usage: the command line or the configuration file',
  [Exit.refused]: 'the controller refused; nothing was changed',
  [Exit.notFound]: 'there is no such object',
  [Exit.unreachable]: 'no controller answers, or its store does not',
  [Exit.different]: 'diff found a difference',
  [Exit.unacknowledged]: 'the change is stored, but not every connected switch has acknowledged it',
  [Exit.notAllowed]: 'trace found that the packet or its answer does not arrive',
};

const EXIT_CODE_HELP = `
Exit codes:
${Object.entries(EXIT_CODES)
  .map(([exit, meaning]) => `  ${exit}  ${meaning}`)
  .join('\n')}`;

// Options that several commands share; made anew for each, because commander keeps the default in them.
const server = () =>
  new Option('--server <URL>', 'address of the controller').env('WEFT_SERVER').default(DEFAULT_SERVER);
const json = () => new Option('--json', 'write JSON').default(false);
const dryRun = () => new Option('--dry-run', 'say what would be done, and do nothing').default(false);
const noWait = () => new Option('--no-wait', 'do not wait for the switches to acknowledge').default(true);
const timeout = () =>
  new Option('--timeout <seconds>', 'how long to wait for the switches')
    .argParser(positiveNumber)
    .default(20);
const files = () =>
  new Option(
    '-f, --file <FILE>',
    'intents: a file (YAML or JSON), a directory of them, - for standard input; may be repeated',
  )
    .argParser<string[]>(collect)
    .default<string[]>([]);
const replace = () =>
  new Option(
    '--replace',
    'the files are the whole truth: declared objects that are not in them are deleted',
  ).default(false);

const socket = () =>
  new Option('--socket <PATH>', "unix socket of this host's agent")
    .env('WEFT_AGENT_SOCKET')
    .default('/run/weft/agent.sock');

/** The whole command line; its commands' types are theirs alone. */
export type Program = Command;

/** @param end takes the exit code of the command that ran */
export function buildProgram(end: (exit: Exit) => void): Program {
  const program = new Command('weft')
    .description(
      'Networks for containers, virtual machines and hosts on Open vSwitch: a controller, agents, intents.',
    )
    .version(version())
    .showSuggestionAfterError()
    .configureHelp({
      // that a flag is off unless given, and a list empty, goes without saying
      optionDescription: (option) =>
        new Help().optionDescription(option).replace(/ \(default: (false|\[\])\)/, ''),
    })
    .addHelpText('after', EXIT_CODE_HELP);

  const writes = async () => await import('./commands/write.js');
  program
    .command('apply')
    .description('create and update objects, all or nothing, and wait for the switches')
    .addOption(files().makeOptionMandatory())
    .addOption(replace())
    .addOption(dryRun())
    .addOption(noWait())
    .addOption(timeout())
    .addOption(json())
    .addOption(server())
    .action(async (options) => {
      const { apply } = await writes();
      end(await apply(new Client(options.server), { ...options, files: options.file }));
    });

  program
    .command('diff')
    .description('show what apply would do; exit code 6 when that is something')
    .addOption(files().makeOptionMandatory())
    .addOption(replace())
    .addOption(json())
    .addOption(server())
    .action(async (options) => {
      const { diff } = await writes();
      end(await diff(new Client(options.server), { ...options, files: options.file }));
    });

  program
    .command('delete')
    .description('delete objects, given by files, by kind and name, or all there are; all or nothing')
    .argument('[kind]', `one of ${KIND_WORDS.join(', ')}`)
    .argument('[names...]', 'TENANT, HOST, TENANT/NETWORK or TENANT/NETWORK/ENDPOINT')
    .addOption(files())
    .option('--cascade', 'delete what needs the deleted objects, too', false)
    .option('--all', 'delete everything that is declared', false)
    .addOption(dryRun())
    .addOption(noWait())
    .addOption(timeout())
    .addOption(json())
    .addOption(server())
    .action(async (kind, names, options) => {
      const { remove } = await writes();
      end(await remove(new Client(options.server), kind, names, { ...options, files: options.file }));
    });

  const reads = async () => await import('./commands/read.js');
  const packets = async () => await import('./commands/packets.js');
  program
    .command('get')
    .description(
      'list objects with their allocated values; drops: what switches have dropped, and why; ' +
        'multicast: groups, receivers, routers and trees; fabric: switches, ports, links and stations; kubernetes: the cluster that is watched',
    )
    .argument('<kind>', `one of ${KIND_WORDS.join(', ')}, all, drops, multicast, fabric, or kubernetes`)
    .argument(
      '[names...]',
      'only these; of drops: hosts or endpoints; of multicast: addresses of groups; of fabric: datapath ids',
    )
    .option('-t, --tenant <NAME>', 'only those of this tenant')
    .option('--network <NAME>', 'multicast: only of this network, TENANT/NETWORK')
    .option('--yaml', 'write intents that can be applied again', false)
    .option('--stats', 'rules: packets, bytes and connections, summed over the switches', false)
    .option('--all', 'drops: causes for which nothing has been dropped as well', false)
    .addOption(json())
    .addOption(server())
    .action(async (kind, names, options) => {
      if (kind === 'drops') {
        const { getDrops } = await packets();
        end(await getDrops(new Client(options.server), names, options));
        return;
      }
      if (kind === 'fabric') {
        const { getFabric } = await import('./commands/fabric.js');
        end(await getFabric(new Client(options.server), names, options));
        return;
      }
      if (kind === 'kubernetes') {
        const { getKubernetes } = await import('./commands/kubernetes.js');
        end(await getKubernetes(new Client(options.server), options));
        return;
      }
      if (kind === 'multicast') {
        const { getMulticast } = await import('./commands/multicast.js');
        end(await getMulticast(new Client(options.server), names, options));
        return;
      }
      if (options.stats) {
        const { getRuleStats } = await packets();
        end(await getRuleStats(new Client(options.server), kind, names, options));
        return;
      }
      const { get } = await reads();
      end(await get(new Client(options.server), kind, names, { tenant: undefined, ...options }));
    });

  program
    .command('describe')
    .description('show one object with everything around it')
    .argument('<kind>', `one of ${KIND_WORDS.join(', ')}`)
    .argument('<name>', 'TENANT, HOST, TENANT/NETWORK or TENANT/NETWORK/ENDPOINT')
    .addOption(json())
    .addOption(server())
    .action(async (kind, name, options) => {
      const { describe } = await reads();
      end(await describe(new Client(options.server), kind, name, options));
    });

  program
    .command('status')
    .description('show the controller, its hosts and switches, refused and healed entries')
    .addOption(json())
    .addOption(server())
    .action(async (options) => {
      const { status } = await import('./commands/status.js');
      end(await status(new Client(options.server), options));
    });

  program
    .command('trace')
    .description('say what would become of a packet and its answer, by the entries that the switches hold')
    .option(
      '--from <PARTY>',
      'TENANT/NETWORK/ENDPOINT, or an address in the network of the other side; through the fabric: MAC or IP address of a station',
    )
    .requiredOption('--to <PARTY>', 'as --from; or the address of a group')
    .addOption(new Option('--vlan <ID>', 'through the fabric: in this VLAN; 0: untagged').argParser(vlanId))
    .option('--switch <DATAPATH>', 'through the fabric: from a port of this switch')
    .addOption(new Option('--in-port <PORT>', 'number of that port').argParser(positiveInteger))
    .addOption(new Option('--tcp <PORT>', 'TCP to this port').argParser(portNumber))
    .addOption(new Option('--udp <PORT>', 'UDP to this port').argParser(portNumber))
    .addOption(new Option('--sctp <PORT>', 'SCTP to this port').argParser(portNumber))
    .addOption(
      new Option('--icmp [TYPE[/CODE]]', 'ICMP, or ICMPv6 with IPv6 (default: an echo request)').argParser(
        icmpMessage,
      ),
    )
    .addOption(new Option('--protocol <NUMBER>', 'another protocol of IP').argParser(octet))
    .addOption(new Option('--source-port <PORT>', 'source port (default: 49152)').argParser(portNumber))
    .option('-6, --ipv6', 'between the IPv6 addresses of endpoints', false)
    .addOption(
      new Option('-f, --file <FILE>', 'intents, to name the line of what decides; may be repeated')
        .argParser<string[]>(collect)
        .default<string[]>([]),
    )
    .option('--all', 'the tables too that have nothing to say of the packet', false)
    .addOption(json())
    .addOption(server())
    .action(async (options) => {
      const { trace } = await import('./commands/trace.js');
      end(await trace(new Client(options.server), options));
    });

  program
    .command('watch')
    .description('show changes as they happen; drops: packets that policies drop')
    .addArgument(
      new Argument(
        '[what]',
        'drops: packets that defaults, rules with log and rules that reject drop',
      ).choices(['drops']),
    )
    .option('--types <LIST>', 'only these, separated by commas: object, datapath, host')
    .option('--allows', 'drops: packets that rules with log let pass as well', false)
    .option('-t, --tenant <NAME>', 'drops: only those of this tenant')
    .option('--endpoint <NAME>', 'drops: only those from or to TENANT/NETWORK/ENDPOINT')
    .addOption(new Option('-n, --count <N>', 'end after so many').argParser(positiveInteger))
    .addOption(json())
    .addOption(server())
    .action(async (what, options) => {
      const client = new Client(options.server);
      if (what === 'drops') {
        const { watchPackets } = await packets();
        end(await watchPackets(client, options));
        return;
      }
      const { watch } = await import('./commands/watch.js');
      end(await watch(client, options));
    });

  program
    .command('log')
    .description("show the levels of the controller's log, or change one until its next start")
    .argument('[level]', 'trace, debug, info, warn, error, fatal or silent')
    .option('-c, --component <NAME>', 'only of this component: channel, datapath, hub, http, ...')
    .addOption(json())
    .addOption(server())
    .action(async (level, options) => {
      const { log } = await import('./commands/log.js');
      end(await log(new Client(options.server), level, options));
    });

  program
    .command('controller')
    .description('run the controller')
    .option('--openflow <ADDR:PORT>', 'where switches connect (default: 0.0.0.0:6653)')
    .option('--hub <ADDR:PORT>', 'where agents connect (default: 127.0.0.1:9001)')
    .option('--http <ADDR:PORT>', 'HTTP API, metrics and health (default: 127.0.0.1:9999)')
    .option(
      '--data <DIR>',
      'state directory (default: /var/lib/weft for root, ~/.local/state/weft for others)',
    )
    .addOption(
      new Option('--store <DRIVER>', 'where state is kept (default: level)').choices(['level', 'etcd']),
    )
    .addOption(new Option('--etcd <URL,...>', 'client URLs of the etcd cluster').argParser(list))
    .option(
      '--kubernetes [KUBECONFIG]',
      'watch a Kubernetes cluster; without a file as the service account of the pod that this runs in',
    )
    .option('--config <FILE>', 'configuration in YAML; options of the command line stand over it')
    .option('--log-level <LEVEL>', 'trace, debug, info (default), warn, error, fatal or silent')
    .addOption(
      new Option('--log-format <FORMAT>', 'default: text on a terminal, json elsewhere').choices([
        'json',
        'text',
      ]),
    )
    .action(async (options) => {
      const { controller } = await import('./commands/controller.js');
      end(await controller(options));
    });

  const agents = async () => await import('./commands/agent.js');
  program
    .command('agent')
    .description('run the agent of this host')
    .requiredOption('--host-label <NAME>', 'name of this host, unique in the cluster')
    .requiredOption(
      '--controller <ADDR>',
      "the controller's hub: HOST, HOST:PORT or unix:PATH; several separated by commas",
    )
    .option(
      '--openflow <ADDR>',
      "where the bridge finds the controller (default: the controller's host, port 6653)",
    )
    .addOption(
      new Option('--switch <KIND>', 'what forwards on this host (default: ovs)').choices([
        'ovs',
        'linux-bridge',
        'macvlan',
      ]),
    )
    .addOption(
      new Option(
        '--macvlan-mode <MODE>',
        'of macvlan: endpoints of this host reach each other, or not',
      ).choices(['bridge', 'private']),
    )
    .addOption(
      new Option('--untagged-vlan <VLAN>', 'of macvlan: the VLAN that the uplink carries untagged').argParser(
        positiveInteger,
      ),
    )
    .option('--bridge <NAME>', 'integration bridge (default: br-int)')
    .option('--vtep-ip <IP>', 'local address of VXLAN tunnels; without it no VXLAN on this host')
    .option('--uplink <INTERFACE>', 'interface to the VLAN underlay; without it no VLAN on this host')
    .addOption(
      new Option(
        '--uplink-rate <KBIT/S>',
        'what each uplink carries (default: what its interface says)',
      ).argParser(positiveInteger),
    )
    .option('--force-uplink', 'take the uplink even if it carries the default route or this session', false)
    .option('--ovsdb <REMOTE>', 'unix:PATH or tcp:HOST:PORT (default: unix:/run/openvswitch/db.sock)')
    .addOption(
      new Option('--datapath <TYPE>', 'datapath of a new bridge (default: auto)').choices([
        'auto',
        'netdev',
        'system',
      ]),
    )
    .addOption(
      new Option(
        '--hw-offload <ON>',
        'whether Open vSwitch gives flows to network cards that can take them (default: as it is configured)',
      ).choices(['on', 'off']),
    )
    .option('--socket <PATH>', 'unix socket for requests of this host (default: /run/weft/agent.sock)')
    .option('--state <DIR>', 'state directory (default: /var/lib/weft/agent)')
    .option('--cni [PATH]', 'serve CNI at a unix socket (default: /run/weft/cni.sock)')
    .option(
      '--install-cni [DIR]',
      'serve CNI, and install its plugin and a network list below DIR (default: /)',
    )
    .option('--cni-network <TENANT/NETWORK>', 'network of that list (default: kubernetes/pods)')
    .option(
      '--dns [DOMAIN]',
      'answer the DNS questions of endpoints, at 169.254.53.53: their own names under DOMAIN (default: weft.internal), the rest by the resolvers of the host',
    )
    .option('--dns-forward <ADDR[,ADDR]>', 'resolvers for the rest, ADDRESS or ADDRESS#PORT')
    .option('--log-level <LEVEL>', 'trace, debug, info (default), warn, error, fatal or silent')
    .action(async ({ state, ...options }) => {
      const { agent } = await agents();
      end(await agent({ ...options, ...(state === undefined ? {} : { stateDirectory: state }) }));
    });

  program
    .command('attach')
    .description("attach an endpoint to this host's bridge: a network namespace or an interface")
    .argument('<endpoint>', 'TENANT/NETWORK/ENDPOINT; made when the network allows it and it is not declared')
    .option('--netns <NAME>', 'network namespace, as ip netns names it, or its path')
    .option('--interface <NAME>', 'interface of this host, such as the tap of a virtual machine')
    .option('--inner-interface <NAME>', 'name inside of the namespace (default: eth0)')
    .option('--attach-uuid <UUID>', 'UUID of the container')
    .option('--ip <ADDRESS>', 'ask for this address')
    .option('--mac <ADDRESS>', 'ask for this MAC address')
    .addOption(
      new Option('--label <KEY=VALUE>', 'label that groups may select it by; may be repeated').argParser<
        Record<string, string>
      >(collectPairs),
    )
    .addOption(
      new Option('--group <NAME>', 'group of its tenant that it is in; may be repeated').argParser<string[]>(
        (value, before) => collect(value, before ?? []),
      ),
    )
    .addOption(
      new Option(
        '--port <NAME=PORT>',
        'port that rules may name: http=8080, dns=53/udp; may be repeated',
      ).argParser<Record<string, string>>(collectPairs),
    )
    .option('--qos <NAME>', 'QoS profile of its tenant')
    .addOption(timeout())
    .addOption(json())
    .addOption(socket())
    .action(async (endpoint, options) => {
      const { attach } = await agents();
      end(await attach(endpoint, options));
    });

  program
    .command('detach')
    .description("take an endpoint off this host's bridge")
    .argument('<endpoint>', 'TENANT/NETWORK/ENDPOINT')
    .option('--release', 'give its addresses back, if no intent declares it', false)
    .addOption(json())
    .addOption(socket())
    .action(async (endpoint, options) => {
      const { detach } = await agents();
      end(await detach(endpoint, options));
    });

  program
    .command('attachments')
    .description('show what is attached on this host, as its agent sees it')
    .addOption(json())
    .addOption(socket())
    .action(async (options) => {
      const { attachments } = await agents();
      end(await attachments(options));
    });

  return program;
}

/**
 * Who owns which lab, and taking away what a lab left when its owner was killed.
 *
 * A lab is known by its directory `/run/weft-lab/<id>`, made in one step (rename) with a file that names its owner. What belongs to it is
 * found by that id: namespaces are called `weft-<id>-…`, processes are those inside the namespaces, the one link in the root namespace is
 * the peer of the fabric's. So a half-made lab is found as well as a whole one.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { LabError, run } from './process.js';

export const LABS_DIRECTORY = '/run/weft-lab';
const NAMESPACE_PREFIX = 'weft-';

interface LabRecord {
  readonly id: string;
  readonly owner: { readonly pid: number; readonly startTime: string };
}

export const namespacePrefix = (id: string): string => `${NAMESPACE_PREFIX}${id}-`;
export const fabricNamespace = (id: string): string => `${namespacePrefix(id)}fabric`;
/** Name of the fabric's end of the veth whose other end is in the root namespace. */
export const ROOT_LINK_PEER = 'root';
export const labDirectory = (id: string): string => join(LABS_DIRECTORY, id);

/** Start time of a process in clock ticks since boot (proc(5), field 22), which with its id names it uniquely. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function readRecord(id: string): LabRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(labDirectory(id), 'lab.json'), 'utf8')) as LabRecord;
  } catch {
    return undefined;
  }
}

/** Make the lab's directory, owned by this process. Rejects when a living process owns a lab of this id. */
export function claimLab(id: string): string {
  mkdirSync(LABS_DIRECTORY, { recursive: true });
  const fresh = mkdtempSync(join(LABS_DIRECTORY, '.new-'));
  const record: LabRecord = { id, owner: { pid: process.pid, startTime: startTime(process.pid) ?? '' } };
  writeFileSync(join(fresh, 'lab.json'), JSON.stringify(record));
  try {
    renameSync(fresh, labDirectory(id));
  } catch {
    rmSync(fresh, { recursive: true });
    const owner = readRecord(id)?.owner.pid;
    throw new LabError(
      'lab.exists',
      `a lab '${id}' is running, owned by process ${owner}`,
      'choose another name',
    );
  }
  return labDirectory(id);
}

/** Take away everything of a lab: processes, namespaces with their links, the root link, files. Missing parts are no error. */
export async function removeLab(id: string): Promise<void> {
  const list = await run(['ip', 'netns', 'list']);
  const prefix = namespacePrefix(id);
  const namespaces = list.stdout
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name.startsWith(prefix));
  await Promise.all(namespaces.map(killProcessesIn));
  // Deleting a namespace takes its links away some time later; deleting one end of the veth takes both away now.
  await run(['ip', '-n', fabricNamespace(id), 'link', 'delete', ROOT_LINK_PEER]);
  await run(['ip', '-force', '-batch', '-'], {
    input: namespaces.map((name) => `netns delete ${name}\n`).join(''),
  });
  rmSync(labDirectory(id), { recursive: true, force: true });
}

async function killProcessesIn(namespace: string): Promise<void> {
  for (let round = 0; round < 5; round++) {
    const { stdout } = await run(['ip', 'netns', 'pids', namespace]);
    const pids = stdout.split('\n').filter((line) => line !== '');
    if (pids.length === 0) return;
    for (const pid of pids) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // Ended by itself in the meantime.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Remove every lab whose owner no longer runs; gives their ids. */
export async function reapAbandonedLabs(): Promise<readonly string[]> {
  let ids: string[];
  try {
    ids = readdirSync(LABS_DIRECTORY).filter((name) => !name.startsWith('.'));
  } catch {
    return [];
  }
  const abandoned = ids.filter((id) => {
    const record = readRecord(id);
    // Without a record it is being removed by somebody this very moment.
    return record !== undefined && startTime(record.owner.pid) !== record.owner.startTime;
  });
  await Promise.all(abandoned.map(removeLab));
  return abandoned;
}

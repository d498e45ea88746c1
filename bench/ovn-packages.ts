/**
 * Where OVN's programs are: those that are installed, else Debian's packages unpacked into a cache of their own. Unpacked and not
 * installed, because the packages start services when they are installed, and ovn-controller then works on the host's own Open vSwitch.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { exec, run } from '../topologies/lab/process.js';

const PACKAGES = ['ovn-common', 'ovn-central', 'ovn-host'];

export interface OvnPrograms {
  /** Folder of ovn-northd, ovn-controller, ovn-nbctl. */
  readonly bin: string;
  /** Folder of ovn-nb.ovsschema and ovn-sb.ovsschema. */
  readonly schemas: string;
  /** `23.03.1` */
  readonly version: string;
}

/** Finds OVN, or fetches it and says so. Rejects when neither can be done. */
export async function findOvn(): Promise<OvnPrograms> {
  const installed = { bin: '/usr/bin', schemas: '/usr/share/ovn' };
  const hasAll = ({ bin, schemas }: typeof installed) =>
    existsSync(join(bin, 'ovn-northd')) &&
    existsSync(join(bin, 'ovn-controller')) &&
    existsSync(join(schemas, 'ovn-nb.ovsschema'));
  if (hasAll(installed)) return { ...installed, version: await versionOf(installed.bin) };
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'weft-bench', 'ovn');
  const unpacked = { bin: join(cache, 'usr/bin'), schemas: join(cache, 'usr/share/ovn') };
  if (!hasAll(unpacked)) await unpack(cache);
  return { ...unpacked, version: await versionOf(unpacked.bin) };
}

async function unpack(folder: string): Promise<void> {
  console.error(
    `weft: fetching Debian packages ${PACKAGES.join(', ')} into ${folder} (nothing is installed)`,
  );
  const partial = `${folder}.${process.pid}`;
  await mkdir(partial, { recursive: true });
  try {
    const download = ['sh', '-ec', 'cd "$1"; shift; apt-get download "$@"', '-', partial, ...PACKAGES];
    const options = { timeoutMs: 120_000 };
    if ((await run(download, options)).exitCode !== 0) {
      // A package list may be old or absent on a fresh machine.
      await run(['apt-get', 'update'], options);
      await exec(download, options);
    }
    const files = (await readdir(partial)).filter((name) => name.endsWith('.deb'));
    for (const file of files) {
      await exec(['dpkg-deb', '-x', join(partial, file), partial]);
      await rm(join(partial, file));
    }
    await rm(folder, { recursive: true, force: true });
    await rename(partial, folder);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

async function versionOf(bin: string): Promise<string> {
  return (
    /(\d+\.\d+\S*)/.exec(await exec([join(bin, 'ovn-northd'), '--version']))?.[1] ?? 'of unknown version'
  );
}

/** Hearing of links that come and go, from `ip monitor` (rtnetlink). */
import { spawn, type ChildProcess } from 'node:child_process';

const RESTART_MS = 1_000;

/** Call `listener` whenever the kernel tells of a change of a link; may be too often, never with what changed. Returns the function that ends it. */
export function watchLinks(listener: () => void): () => void {
  let child: ChildProcess | undefined;
  let restart: NodeJS.Timeout | undefined;
  let ended = false;
  const again = (): void => {
    if (ended) return;
    clearTimeout(restart);
    restart = setTimeout(start, RESTART_MS);
  };
  const start = (): void => {
    child = spawn('ip', ['-oneline', 'monitor', 'link'], { stdio: ['ignore', 'pipe', 'ignore'] });
    child.stdout?.on('data', listener);
    child.on('error', again).on('exit', again);
  };
  start();
  return () => {
    ended = true;
    clearTimeout(restart);
    child?.kill();
  };
}

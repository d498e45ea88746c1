/** Completion for bash, zsh, fish and PowerShell (@bomb.sh/tab): `source <(weft complete bash)`. */
import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';
import { KIND_WORDS } from './kinds.js';
import type { Program } from './program.js';

export function addCompletion(program: Program): void {
  // extra-typings' commands are commander's own at run time; only their types differ
  const root = tab(program as unknown as Command);
  for (const name of ['get', 'describe', 'delete']) {
    root.commands.get(name)?.argument('kind', (complete) => {
      for (const word of KIND_WORDS) complete(word, '');
      if (name !== 'get') return;
      complete('drops', 'what switches have dropped, and why');
      complete('fabric', 'switches, ports, links and stations');
      complete('kubernetes', 'the cluster that is watched');
      complete('multicast', 'groups, receivers, routers and trees');
    });
  }
  root.commands.get('watch')?.argument('what', (complete) => complete('drops', 'packets that policies drop'));
}

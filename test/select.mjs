// Prints the compiled test files of one kind, for `tap run`.
//   unit    pure code and real parts that need no privileges: everything but test/system
//   system  real Open vSwitch, network namespaces, etcd, mininet: test/system
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const kind = process.argv[2] ?? 'unit';
const walk = (dir) =>
  !existsSync(dir)
    ? []
    : readdirSync(dir, { withFileTypes: true }).flatMap((e) =>
        e.isDirectory() ? walk(join(dir, e.name)) : e.name.endsWith('.test.js') ? [join(dir, e.name)] : [],
      );
const all = walk('dist/test').sort();
const isSystem = (f) => f.startsWith(join('dist/test/system/'));
console.log(all.filter((f) => (kind === 'system' ? isSystem(f) : !isSystem(f))).join(' '));

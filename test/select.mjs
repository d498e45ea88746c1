// Prints the compiled test files of one kind, for `tap run`: node test/select.mjs KIND [PART OF A NAME]
//   unit    pure code and real parts that need no privileges: everything but test/system
//   system  real Open vSwitch, network namespaces, etcd, mininet: test/system
// A compiled file whose source is gone (an older build, another branch) is left out.
import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';

const [kind = 'unit', part = ''] = process.argv.slice(2);
const walk = (dir) =>
  !existsSync(dir)
    ? []
    : readdirSync(dir, { withFileTypes: true }).flatMap((e) =>
        e.isDirectory() ? walk(join(dir, e.name)) : e.name.endsWith('.test.js') ? [join(dir, e.name)] : [],
      );
const source = (file) => relative('dist', file).replace(/\.js$/, '.ts');
const isSystem = (file) => file.startsWith(join('dist/test/system/'));
const files = walk('dist/test')
  .sort()
  .filter((f) => isSystem(f) === (kind === 'system') && f.includes(part) && existsSync(source(f)));
console.log(files.join(' '));

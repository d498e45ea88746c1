/** Reads what `-f` names: files, directories of them, `-` for standard input. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandError, Exit } from './exit.js';

export interface IntentFile {
  readonly name: string;
  readonly text: string;
}

const EXTENSIONS = ['.yaml', '.yml', '.json'];

export async function readIntentFiles(names: readonly string[]): Promise<IntentFile[]> {
  const files: IntentFile[] = [];
  for (const name of names) {
    if (name === '-') {
      files.push({ name: 'standard input', text: await readStandardInput() });
      continue;
    }
    for (const path of await expand(name))
      files.push({ name: path, text: await orError(path, readFile(path, 'utf8')) });
  }
  return files;
}

async function expand(name: string): Promise<readonly string[]> {
  const found = await orError(name, stat(name));
  if (!found.isDirectory()) return [name];
  const entries = await orError(name, readdir(name, { withFileTypes: true }));
  const paths = entries
    .filter((entry) => entry.isFile() && EXTENSIONS.some((extension) => entry.name.endsWith(extension)))
    .map((entry) => join(name, entry.name))
    .sort();
  if (paths.length > 0) return paths;
  throw new CommandError(Exit.error, `${name} holds no ${EXTENSIONS.join(', ')} file`);
}

async function readStandardInput(): Promise<string> {
  process.stdin.setEncoding('utf8');
  let text = '';
  for await (const chunk of process.stdin) text += chunk as string;
  return text;
}

async function orError<T>(name: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new CommandError(
      Exit.error,
      `cannot read ${name}: ${code === 'ENOENT' ? 'there is no such file' : code}`,
    );
  }
}

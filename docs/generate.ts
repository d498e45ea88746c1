/**
 * Writes the reference pages from the code that they describe: `npm run docs`. They are checked in, so that they can be read
 * where the code is read, and test/cli/docs.test.ts fails when one is not what the code says.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { createApi } from '../controller/api/server.js';
import type { ApiBackend } from '../controller/api/backend.js';
import type { OpenApiDocument } from '../controller/api/openapi.js';
import { parseConfig } from '../controller/config/load.js';
import { createLog } from '../controller/log.js';
import { createMetrics } from '../controller/metrics.js';
import { cliPage } from './generators/cli.js';
import { configurationPage } from './generators/configuration.js';
import { httpApiPage } from './generators/http-api.js';
import { intentsPage } from './generators/intents.js';
import { describePipeline } from '../controller/datapath/describe.js';
import { fabricPipeline } from '../apps/fabric/index.js';
import { pipeline } from '../apps/pipeline.js';
import { GENERATED } from './generators/markdown.js';

/** Pages by their path from the repository's root. */
export const PAGES: Readonly<Record<string, () => string | Promise<string>>> = {
  'docs/intents.md': intentsPage,
  'docs/configuration.md': configurationPage,
  'docs/cli.md': cliPage,
  'docs/pipeline.md': () => `${GENERATED('apps/pipeline.ts')}\n${describePipeline(pipeline).trimEnd()}\n`,
  'docs/fabric-pipeline.md': () =>
    `${GENERATED('apps/fabric/pipeline.ts')}\n${describePipeline(fabricPipeline).trimEnd()}\n`,
  'docs/http-api.md': async () => httpApiPage(await openApiDocument()),
};

/** The document of an API without a controller behind it: only its schemas are asked. */
async function openApiDocument(): Promise<OpenApiDocument> {
  const nothing = (): (() => void) => () => undefined;
  const backend = {
    model: { onFacts: nothing },
    status: () => ({ controllerId: '', version: '' }),
    notReady: () => [],
    onEvent: nothing,
    onPackets: nothing,
    metrics: () => [],
  } as unknown as ApiBackend;
  const log = createLog({ level: 'silent' });
  const metrics = createMetrics({ process: false });
  const api = await createApi({ backend, config: parseConfig('').http, log, metrics });
  try {
    return (await api.inject('/docs/json')).json<OpenApiDocument>();
  } finally {
    await api.close();
  }
}

/** Pages whose file is not what the code says. */
export async function outdatedPages(): Promise<string[]> {
  const outdated: string[] = [];
  for (const [path, page] of Object.entries(PAGES)) {
    const current = await readFile(path, 'utf8').catch(() => '');
    if (current !== (await page())) outdated.push(path);
  }
  return outdated;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const path of await outdatedPages()) {
    await writeFile(path, (await PAGES[path]?.()) ?? '');
    console.log(`wrote ${path}`);
  }
}

/** netplugin's documents and views on top of the model: its verbs, in terms of Weft's own operations. */
import { applyOperation, checkObjects, removeOperation } from '../apply/index.js';
import type { IntentObject } from '../intents.js';
import type {
  ApplyResult,
  ModelDefaults,
  Netplugin,
  NetpluginEndpoint,
  NetpluginNetwork,
  Problem,
} from '../types.js';
import { ModelError } from '../types.js';
import type { Writer } from '../writer.js';
import { bindingsToIntents, toDeletions, toIntents } from './convert.js';
import { type Document, readDocument } from './document.js';
import { netpluginEndpoint, netpluginNetwork } from './views.js';

interface Options {
  readonly dryRun?: boolean;
}

export class NetpluginDocuments implements Netplugin {
  readonly #writer: Writer;
  readonly #defaults: ModelDefaults;

  constructor(writer: Writer, defaults: ModelDefaults) {
    this.#writer = writer;
    this.#defaults = defaults;
  }

  /** Late bindings that were posted apart stay with their endpoints. */
  desired(input: unknown, options: Options = {}): Promise<ApplyResult> {
    return this.#apply(input, 'replace', options);
  }

  add(input: unknown, options: Options = {}): Promise<ApplyResult> {
    return this.#apply(input, 'add', options);
  }

  async del(input: unknown, { dryRun = false }: Options = {}): Promise<ApplyResult> {
    const { document, problems } = read(input);
    const { state } = this.#writer;
    const operation = () => {
      const found = [...problems];
      const refs = toDeletions(document, found, state);
      throwErrors(found);
      return removeOperation(state, this.#defaults, refs, { cascade: false, problems: found });
    };
    return { ...(await this.#writer.run(operation, { dryRun })), dryRun };
  }

  async bindings(input: unknown, { dryRun = false }: Options = {}): Promise<ApplyResult> {
    const bare = Array.isArray(typeof input === 'string' ? parsed(input) : input);
    const { document, problems } = read(input, { bareBindings: true });
    const { state } = this.#writer;
    const operation = () => {
      const found = [...problems];
      const path = bare ? '' : '/HostBindings';
      const objects = bindingsToIntents(document.HostBindings, found, state, [], path);
      throwErrors(found);
      return applyOperation(state, this.#defaults, checkObjects(objects), { mode: 'add', problems: found });
    };
    return { ...(await this.#writer.run(operation, { dryRun })), dryRun };
  }

  networks(): readonly NetpluginNetwork[] {
    return [...this.#writer.state.ids('network')].sort().map((id) => this.#network(id));
  }

  network(id: string): readonly NetpluginNetwork[] {
    const all = [...this.#writer.state.ids('network')].sort();
    return all.filter((key) => key === id || key.split('/')[1] === id).map((key) => this.#network(key));
  }

  endpoints(): readonly NetpluginEndpoint[] {
    return [...this.#writer.state.ids('endpoint')].sort().map((id) => this.#endpoint(id));
  }

  endpoint(id: string): readonly NetpluginEndpoint[] {
    const { state } = this.#writer;
    const found = new Set<string>();
    if (state.has('endpoint', id)) found.add(id);
    // `<network>-<container>`, both of which may contain dashes.
    for (let dash = id.indexOf('-'); dash > 0; dash = id.indexOf('-', dash + 1)) {
      for (const key of state.indexes.endpointsByName.get(id.slice(dash + 1))) {
        if (key.split('/')[1] === id.slice(0, dash)) found.add(key);
      }
    }
    return [...found].sort().map((key) => this.#endpoint(key));
  }

  async #apply(input: unknown, mode: 'add' | 'replace', { dryRun = false }: Options): Promise<ApplyResult> {
    const { document, problems } = read(input);
    const { state } = this.#writer;
    const operation = () => {
      const found = [...problems];
      const objects = toIntents(
        document,
        found,
        state,
        mode === 'add' ? 'everything' : 'what cannot be said',
      );
      const bindings = bindingsToIntents(document.HostBindings, found, state, objects, '/HostBindings');
      throwErrors(found);
      const all: readonly IntentObject[] = checkObjects([...objects, ...bindings]);
      return applyOperation(state, this.#defaults, all, { mode, keepApart: true, problems: found });
    };
    return { ...(await this.#writer.run(operation, { dryRun })), dryRun };
  }

  #network(id: string): NetpluginNetwork {
    const { state } = this.#writer;
    return netpluginNetwork(state, id, state.get('network', id)!);
  }

  #endpoint(id: string): NetpluginEndpoint {
    const { state } = this.#writer;
    return netpluginEndpoint(state, id, state.get('endpoint', id)!);
  }
}

function read(
  input: unknown,
  options: { bareBindings?: boolean } = {},
): { document: Document; problems: Problem[] } {
  const problems: Problem[] = [];
  const document = readDocument(input, problems, options);
  throwErrors(problems);
  return { document, problems };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function throwErrors(problems: readonly Problem[]): void {
  if (problems.some((problem) => problem.severity === 'error')) throw new ModelError(problems);
}

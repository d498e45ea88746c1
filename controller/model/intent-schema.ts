/** Pieces that the schemas of all kinds of intents are made of. */
import Type from 'typebox';

/** What a name may look like everywhere: it goes into ids (`tenant/network/endpoint`), file names and URLs. */
export const NAME_PATTERN = '^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$';
export const NAME_RULE =
  '1 to 253 letters, digits, "-", "_" and ".", beginning and ending with a letter or digit';

/** Name of a port: that of a number or a range cannot be taken for one. */
export const PORT_NAME_PATTERN = '^(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$';
export const PORT_NAME_RULE = '1 to 63 letters, digits and "-", a letter among them';

/** Key of a label, as Kubernetes has them. */
export const LABEL_KEY_PATTERN =
  '^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$';
export const LABEL_KEY_RULE =
  '1 to 63 letters, digits, "-", "_" and ".", beginning and ending with a letter or digit, after a domain and "/" if need be';
/** Value of a label; may be empty. */
export const LABEL_VALUE_PATTERN = '^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$';
export const LABEL_VALUE_RULE = 'up to 63 letters, digits, "-", "_" and "."';

export const name = (description: string) =>
  Type.String({ pattern: NAME_PATTERN, description: `${description}: ${NAME_RULE}` });

/** A name of something else, told in the description. */
export const reference = (description: string, example?: string) =>
  Type.String({
    pattern: NAME_PATTERN,
    description,
    ...(example === undefined ? {} : { examples: [example] }),
  });

export const text = (description: string, example: string, options: object = {}) =>
  Type.String({ description, examples: [example], ...options });

/** The member `owner` of objects that something else than people may declare. */
export const owner = () =>
  reference(
    'What keeps the object in step with another system, such as `kubernetes`. A request that names another owner, or none, cannot change it, and `replace` leaves it alone. Default: people',
    'kubernetes',
  );

/** One of several words. */
export const oneOf = <const T extends readonly string[]>(
  words: T,
  description: string,
  options: object = {},
) =>
  Type.Unsafe<T[number]>(
    Type.Union(
      words.map((word) => Type.Literal(word)),
      { description, ...options },
    ),
  );

export const closed = { additionalProperties: false } as const;

/** Longest list in one object. */
export const MAX_ITEMS = 100_000;

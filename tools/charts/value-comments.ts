/**
 * The comments of a values.yaml: what a reader and a schema need to know of each value, written above it.
 *
 *     # What the value is for, in whole sentences.
 *     # @schema {minimum: 0}
 *     replicas: 1
 *
 * Read line by line, so that a comment belongs to the key right below it at the same depth, and to nothing else. Pure.
 *
 * Known limits: block mappings indented by two blanks; sequences and flow collections have no commented keys inside.
 */

export interface ValueComment {
  /** Keys from the top, as `['dev', 'nats', 'enabled']`. */
  readonly path: readonly string[];
  /** The prose; paragraphs are joined. */
  readonly text: string;
  /** YAML of the annotation `@schema`, empty where there is none. */
  readonly schema: string;
  /** Path below the schema of the custom resource that `@crd` names, empty where there is none. */
  readonly resource: string;
}

const KEY = /^( *)([A-Za-z][\w.-]*):(?: |$)/;
const COMMENT = /^( *)# ?(.*)$/;

/** Every key of the file in its order, with what stands above it. */
export function readValueComments(text: string): ValueComment[] {
  const found: ValueComment[] = [];
  let above: { depth: number; line: string }[] = [];
  const path: string[] = [];
  let block = Number.POSITIVE_INFINITY;
  for (const line of text.split('\n')) {
    const indent = line.length - line.trimStart().length;
    // Lines of a block scalar are text, whatever they look like.
    if (line.trim() === '' || indent > block) {
      if (line.trim() === '') above = [];
      continue;
    }
    block = Number.POSITIVE_INFINITY;
    const comment = COMMENT.exec(line);
    if (comment !== null) {
      above.push({ depth: comment[1]!.length / 2, line: comment[2]! });
      continue;
    }
    const key = KEY.exec(line);
    if (key !== null) {
      const depth = key[1]!.length / 2;
      path.length = depth;
      path.push(key[2]!);
      const lines = above.filter((entry) => entry.depth === depth).map((entry) => entry.line);
      found.push({ path: [...path], ...split(lines) });
      if (/[|>][+-]?$/.test(line)) block = indent;
    }
    above = [];
  }
  return found;
}

function split(lines: readonly string[]): Omit<ValueComment, 'path'> {
  const annotation = (name: string): string =>
    lines
      .filter((line) => line.startsWith(`@${name} `))
      .map((line) => line.slice(name.length + 2))
      .join(' ');
  const text = lines.filter((line) => !line.startsWith('@')).join(' ');
  return { text: text.replace(/\s+/g, ' ').trim(), schema: annotation('schema'), resource: annotation('crd') };
}

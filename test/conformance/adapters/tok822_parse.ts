/** Conformance adapter: the parse tree of an address list per logical line, and the tree as text in three forms. */
import { readFileSync } from 'node:fs';
import { externalize, internalize, parse, type Token } from '../../../lib/mail/tok822.ts';

const TOKEN_LIMIT = 20;
const LABELS: Record<Token['type'], string> = {
  atom: 'atom',
  'quoted-string': 'quoted string',
  'domain-literal': 'domain literal',
  comment: 'comment',
  op: 'OP',
  group: 'group',
  address: 'address',
};

function printTree(tokens: readonly Token[], indent: number): void {
  for (const token of tokens) {
    const lead = ' '.repeat(indent + 1);
    if (token.children === undefined) print(`${lead}${LABELS[token.type]} "${token.text}"`);
    else {
      print(`${lead}${LABELS.address}`);
      printTree(token.children, indent + 2);
    }
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`, 'latin1');
}

const warn = (text: string): void => print(`tok822_parse: warning: ${text}`);

for (const line of logicalLines(readFileSync(0, 'latin1'))) {
  const tree = parse(line, TOKEN_LIMIT);
  print(`>>>${line}<<<\n\nParse tree:`);
  printTree(tree, 0);
  print(`\nInternalized:\n${internalize(tree)}\n`);
  const plain = externalize(tree, { firstLineOnly: true, warn });
  print(`Externalized, no newlines inserted:\n${plain}\n`);
  const folded = externalize(tree, { firstLineOnly: true, newlines: true, warn });
  print(`Externalized, newlines inserted:\n${folded}\n`);
}

/** Lines joined as in main.cf: white space at the start continues the line before; comments and blank lines go. */
function logicalLines(text: string): string[] {
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    if (/^[ \t]/.test(line) && lines.length > 0) lines.push(lines.pop() + line);
    else lines.push(line);
  }
  return lines;
}

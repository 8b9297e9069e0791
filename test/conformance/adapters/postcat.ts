/** Conformance adapter: postcat's view of a message listing (`FILE.msg`), named FILE. */
import { readFileSync } from 'node:fs';
import { parsePostcatOptions } from '../../../cli/postcat/main.ts';
import { showMessage } from '../../../cli/postcat/view.ts';

const options = parsePostcatOptions(process.argv.slice(2), process);
for (const name of options.operands) {
  const [envelope = '', content = '', extracted = ''] = readFileSync(`${name}.msg`, 'utf8').split(/^== \w+\n/m);
  const records = (text: string): string[] => text.split('\n').filter((line) => line !== '');
  const pieces = records(content).map((record) =>
    Buffer.from(record.replace(/^\w+: /, '') + (record.startsWith('regular_text') ? '\n' : '')),
  );
  const view = { name, records: records(envelope), content: pieces, extracted: records(extracted) };
  for await (const piece of showMessage(view, options)) process.stdout.write(piece);
}

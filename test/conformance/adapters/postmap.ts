/** postmap: the command itself. */
import { writeSync } from 'node:fs';
import { main } from '../../../cli/postmap/main.ts';

process.exitCode = await main(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: { write: (text: Buffer) => writeSync(1, text) },
  stderr: { write: (text: Buffer) => writeSync(2, text) },
  environment: process.env,
});

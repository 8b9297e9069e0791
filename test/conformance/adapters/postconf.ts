/** postconf: the command itself. */
import { writeSync } from 'node:fs';
import { main } from '../../../cli/postconf/main.ts';

process.exitCode = await main(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: { write: (text: string) => writeSync(1, text) },
  stderr: { write: (text: string) => writeSync(2, text) },
  environment: process.env,
});

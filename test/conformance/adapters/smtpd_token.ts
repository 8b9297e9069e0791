/** smtpd_token: the words of SMTP command lines. */
import { commandWords } from '../../../lib/smtp/command-line.ts';
import { inputLines, printLines } from '../support/tables.ts';

for (const line of inputLines()) {
  if (line.startsWith('#')) continue;
  printLines(line);
  for (const { text, error } of commandWords(line)) {
    printLines(`Token type:  ${error ? 'error' : 'other'}`, `Token value: ${text}`);
  }
}

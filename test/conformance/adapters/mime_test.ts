/** mime_test: the walk through the MIME structure of the message on standard input. */
import { headerLabel, mimeTestOptions, print, walkMessage } from '../support/mime.ts';

await walkMessage('mime_test', { ...mimeTestOptions, trace: true }, (event) => {
  if (event.type === 'header') print(`${headerLabel(event)}${event.text}\n`);
  else if (event.type === 'header-end') print('HEADER END\n');
  else if (event.type === 'body-end') print('BODY END\n');
  else if (event.type === 'body') {
    print(`BODY ${event.complete ? 'N' : 'L'} ${event.offset}\t|${event.text}${event.complete ? '\n' : ''}`);
  }
});

/** How replies name what a list of restrictions is about: `<user@example>: Recipient address rejected: …`. */
import type { ListKind } from './environment.ts';
import type { Subject } from './subject.ts';
import type { ReplyClass } from './verdict.ts';

export interface ReplySubject {
  readonly replyClass: ReplyClass;
  name(subject: Subject): string;
}

const client: ReplySubject = { replyClass: 'Client host', name: (subject) => subject.clientNameAddress };
const helo: ReplySubject = { replyClass: 'Helo command', name: (subject) => subject.heloName };
const sender: ReplySubject = { replyClass: 'Sender address', name: (subject) => subject.sender ?? '' };
const recipient: ReplySubject = { replyClass: 'Recipient address', name: (subject) => subject.recipient ?? '' };

export const replySubjects: Readonly<Record<ListKind | 'reverseClient', ReplySubject>> = {
  client,
  reverseClient: { replyClass: 'Unverified Client host', name: (subject) => subject.peer.reverseName },
  helo,
  sender,
  recipient,
  relay: recipient,
  data: { replyClass: 'Data command', name: () => 'DATA' },
  'end-of-data': { replyClass: 'End-of-data', name: () => 'END-OF-MESSAGE' },
  etrn: { replyClass: 'Etrn command', name: (subject) => subject.recipient ?? '' },
};

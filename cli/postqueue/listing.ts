/**
 * The two forms of a queue listing: columns for people, as mailq of Sendmail and Postfix shows them, and one JSON object a
 * line for programs (postqueue(1), JSON OBJECT FORMAT).
 *
 * A message with very many recipients comes in several items with the same queue id, one after another; here they become
 * one again, without keeping it in memory.
 *
 * Pure but for the time zone of the process.
 */
import type { QueueItem } from '../../lib/clients/protocols.ts';
import { printable } from '../../lib/util/log.ts';

const HEADING = '----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n';
const ID_WIDTH = 17;
const REASON_WIDTH = 78;
const ADDRESS_COLUMN = 47;

const STATUS: Readonly<Record<string, string>> = { active: '*', hold: '!' };

/** Something that is told of all items in their order, and says what to print. */
export interface Listing {
  item(item: QueueItem): string;
  end(): string;
}

export class TraditionalListing implements Listing {
  #requests = 0;
  #octets = 0;
  #last = '';

  item(item: QueueItem): string {
    const recipients = item.recipients.map(recipientLines).join('');
    if (item.queueId === this.#last) return recipients;
    const before = this.#requests === 0 ? HEADING : '\n';
    this.#last = item.queueId;
    this.#requests++;
    this.#octets += item.messageSize;
    const marks = `${STATUS[item.queueName] ?? ''}${item.forcedExpire ? '#' : ''}`;
    const id = `${item.queueId}${marks}`.padEnd(ID_WIDTH);
    const size = String(item.messageSize).padStart(8);
    return `${before}${id} ${size} ${arrival(item.arrivalTime)} ${printable(item.sender)}\n${recipients}`;
  }

  end(): string {
    if (this.#requests === 0) return 'Mail queue is empty\n';
    const requests = this.#requests === 1 ? '1 Request' : `${this.#requests} Requests`;
    return `\n-- ${Math.floor(this.#octets / 1024)} Kbytes in ${requests}.\n`;
  }
}

function recipientLines({ address, delayReason }: QueueItem['recipients'][number]): string {
  const reason = delayReason === '' ? '' : `${`(${printable(delayReason)})`.padStart(REASON_WIDTH)}\n`;
  return `${reason}${' '.repeat(ADDRESS_COLUMN)}${printable(address)}\n`;
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** "Sun Nov 22 14:07:36" */
function arrival(seconds: number): string {
  const at = new Date(seconds * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = String(at.getDate()).padStart(2);
  return `${DAYS[at.getDay()]} ${MONTHS[at.getMonth()]} ${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

export class JsonListing implements Listing {
  #last = '';
  #recipients = 0;

  item(item: QueueItem): string {
    let text = '';
    if (item.queueId !== this.#last) {
      text = this.end() + opening(item);
      this.#last = item.queueId;
      this.#recipients = 0;
    }
    for (const recipient of item.recipients) text += (this.#recipients++ === 0 ? '' : ', ') + jsonRecipient(recipient);
    return text;
  }

  end(): string {
    return this.#last === '' ? '' : ']}\n';
  }
}

function opening(item: QueueItem): string {
  const { queueName, queueId, arrivalTime, messageSize, forcedExpire, sender } = item;
  return (
    `{"queue_name": ${JSON.stringify(queueName)}, "queue_id": ${JSON.stringify(queueId)}, "arrival_time": ${arrivalTime}, ` +
    `"message_size": ${messageSize}, "forced_expire": ${forcedExpire}, "sender": ${JSON.stringify(sender)}, "recipients": [`
  );
}

function jsonRecipient({ address, delayReason }: QueueItem['recipients'][number]): string {
  const reason = delayReason === '' ? '' : `, "delay_reason": ${JSON.stringify(delayReason)}`;
  return `{"address": ${JSON.stringify(address)}${reason}}`;
}

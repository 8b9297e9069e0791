/**
 * When a recipient that could not be delivered is tried again, and when it is given up (qmgr(8), "exponential backoff").
 * Pure functions; times in seconds.
 */
import type { QmgrSettings } from './settings.ts';

/** Seconds until the next attempt: as long as the message has waited, within the two back-off times. */
export function retryDelay(age: number, settings: Pick<QmgrSettings, 'minimalBackoff' | 'maximalBackoff'>): number {
  return Math.min(Math.max(age, settings.minimalBackoff), Math.max(settings.maximalBackoff, settings.minimalBackoff));
}

/** True where a message of this age, after a failed attempt, goes back to its sender. Notices have a life of their own. */
export function isExpired(
  age: number,
  sender: string,
  settings: Pick<QmgrSettings, 'maximalQueueLifetime' | 'bounceQueueLifetime'>,
): boolean {
  return age >= (sender === '' ? settings.bounceQueueLifetime : settings.maximalQueueLifetime);
}

/** True where the sender is to be told that the message is late. */
export function isLate(
  age: number,
  delayNotified: boolean,
  sender: string,
  settings: Pick<QmgrSettings, 'delayWarningTime'>,
): boolean {
  return settings.delayWarningTime > 0 && age >= settings.delayWarningTime && !delayNotified && sender !== '';
}

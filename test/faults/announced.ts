/** What the master of a run's instance has announced: throws where it has not, for nothing can be asked of it then. */
import { type Announcement, readAnnouncement } from '../../lib/command/running-instance.ts';

export function announced(state: string): Announcement {
  const announcement = readAnnouncement(state);
  if (announcement === undefined) throw new Error(`no instance is announced in ${state}`);
  return announcement;
}

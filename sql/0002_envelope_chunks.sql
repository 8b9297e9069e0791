-- An envelope that was too large for its frame lies in chunks, as large content does: its subject in the CONTENT stream,
-- so that the chunks stay as long as the row. A qmgr that does not know the column leaves it null; the subject is then
-- written when the entry is read for the next attempt.
alter table message add column envelope_subject text;
create index message_by_envelope on message (envelope_subject) where envelope_subject is not null;

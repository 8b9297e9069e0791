/** `texthash:/path`: a postmap source that is read into memory as it is (DATABASE_README); changes are followed. */
export { openSourceTable as openTableType } from './row-file.ts';

/** Rows of the command table: dumps of databases. */
import type { CommandRow } from '../command-row.ts'

export const DUMP_ROWS = {
  advise: {
    summary: 'say which kind of backup suits which database',
    description: [
      'Says for each database of the server whether dumps, backups with WAL or both suit it, and why: by its size, its growth from dump to dump, the changes and the WAL the server has counted, how long its dumps and restores took, and the newest backups.',
      'A measured restore, scaled to the size of today, counts more than the rule of thumb that dumps are for databases below 100GB. --rto says how long a restore may take (without it: an hour), --rpo how much work may be lost.',
    ],
    examples: [
      { text: 'All databases of a cluster', command: 'pgsurety --stanza=main advise' },
      {
        text: 'With what was promised to the users',
        command: 'pgsurety --stanza=main --rto=30m --rpo=1h advise',
      },
    ],
    parameters: [],
    support: 'works',
    origin: 'pgsurety',
  },
  dump: {
    summary: 'dump databases into the repository',
    description: [
      'Makes a dump set: every database of a server in the custom format of pg_dump, its roles and tablespaces, and a fingerprint of what each database held at the moment of its dump, by which dump-restore proves a restore.',
      'What pg_dump writes is compressed, encrypted and stored while it comes; nothing is written to the local disk. Templates are left out, and the database postgres while nobody has used it.',
      'Each database is dumped as of one moment, different databases as of different moments. A set that could not be made whole is not listed, and the command does not exit with 0.',
    ],
    examples: [
      { text: 'All databases', command: 'pgsurety --stanza=main dump' },
      {
        text: 'Those of one application, with two jobs',
        command: "pgsurety --stanza=main --db-include='shop_*' --jobs=2 dump",
      },
      { text: 'Another server', command: "pgsurety --stanza=db2 --pg1-conninfo='host=db2' dump" },
    ],
    parameters: [],
    support: 'works',
    origin: 'pgsurety',
  },
  'dump-restore': {
    summary: 'restore databases from a dump set and prove them',
    description: [
      'Restores a database of the latest dump set that has it, or of the one --set names, as a new database, of the same or a newer major version of PostgreSQL. What stands against it is looked for first and told all at once; then nothing is made. With --plan nothing is made in any case.',
      'The database gets its name when it is complete. Until then it has another one (shop.pgsurety-1a2b3c4d), which it keeps when there were errors or when it differs; an existing database is replaced only when --replace names it.',
      'Then it is compared with the fingerprint that was taken with the dump. Exits with 0 when it is proved, with 120 when it differs, with 121 when something could not be compared, and with 102 when pg_restore had errors. --no-prove does without, --prove-only compares a database that is there.',
      'With --schema or --table only these are restored, with their indexes, constraints, triggers, policies, grants and sequences, and the schemas, types and functions they need. Foreign keys to tables that do not come are left out, and the plan names them.',
    ],
    examples: [
      {
        text: 'The newest dump of one database, beside it',
        command: 'pgsurety --stanza=main --database=shop --to-database=shop_old dump-restore',
      },
      {
        text: 'See what would be done, and what stands against it',
        command:
          'pgsurety --stanza=main --database=shop --to-database=shop_old --plan dump-restore',
      },
      {
        text: 'All databases, to a server that is new',
        command: "pgsurety --stanza=main --all --globals --to-conninfo='host=db2' dump-restore",
      },
      {
        text: 'One table, as it was',
        command:
          'pgsurety --stanza=main --database=shop --table=public.orders --to-database=shop_old dump-restore',
      },
    ],
    parameters: [],
    support: 'works',
    origin: 'pgsurety',
  },
  'dump-verify': {
    summary: 'verify dump sets',
    description: [
      'Reads every dump set, or the one --set names, compares all of it with the digests in its manifest, has pg_restore read every dump to its end, and looks whether each fingerprint is of the tables whose rows are in its dump.',
      'Exits with 0 when everything was read and is right, with 103 when something is damaged or missing, and with 105 when nothing is known to be wrong but something could not be read.',
    ],
    examples: [{ text: 'All dump sets', command: 'pgsurety --stanza=main dump-verify' }],
    parameters: [],
    support: 'works',
    origin: 'pgsurety',
  },
} as const satisfies Readonly<Record<string, CommandRow>>

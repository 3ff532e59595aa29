/** Every command: argv parsing, help, completion and docs/reference come from this table. */

import { REPO_COMMANDS } from './repo-commands.ts'

export interface CommandRow {
  /** One phrase, lower case, for lists of commands. */
  readonly summary: string
  /** Paragraphs. */
  readonly description: readonly string[]
  readonly examples: readonly { readonly text: string; readonly command: string }[]
  /** Names of the parameters in order; those in square brackets are optional. */
  readonly parameters: readonly string[]
  /** `not-yet`: known from pgBackRest, refused by name. */
  readonly support: 'works' | 'not-yet'
  /** Absent: it is pgBackRest's (2.60). */
  readonly origin?: 'pgsurety'
  /** Not shown in lists. */
  readonly internal?: true
}

export const COMMANDS = {
  advise: {
    summary: 'say which kind of backup suits which database',
    description: [
      'Says for each database of the server whether dumps, backups with WAL or both suit it, and why: by its size, its growth from dump to dump, how long its dumps and restores took, and the newest full backup.',
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
  annotate: {
    summary: 'add, change or remove notes on a backup',
    description: [
      'Changes the annotations in backup.info; the manifest keeps those made by backup.',
    ],
    examples: [
      {
        text: 'Note why a backup was made',
        command:
          'pgsurety --stanza=main --set=20260102-030405F --annotation=reason=upgrade annotate',
      },
    ],
    parameters: [],
    support: 'works',
  },
  'archive-get': {
    summary: 'get a WAL segment from the archive',
    description: [
      'PostgreSQL calls this through restore_command during recovery; restore writes that setting.',
      'Exits with 0 when the segment was copied and with 1 when the archive does not hold it, which PostgreSQL takes for the end of the archive. Any other code is an error.',
    ],
    examples: [
      {
        text: 'As restore_command in postgresql.auto.conf',
        command: 'pgsurety --stanza=main archive-get %f "%p"',
      },
    ],
    parameters: ['wal-segment', 'destination'],
    support: 'works',
  },
  'archive-push': {
    summary: 'push a WAL segment to the archive',
    description: [
      'PostgreSQL calls this through archive_command for every segment it has filled. The segment is safe on disk in the repository when the command exits with 0.',
    ],
    examples: [
      {
        text: 'As archive_command in postgresql.conf',
        command: 'pgsurety --stanza=main archive-push %p',
      },
    ],
    parameters: ['wal-segment'],
    support: 'works',
  },
  backup: {
    summary: 'back up a cluster',
    description: [
      'Takes a backup of the running cluster and checks that the WAL it needs is in the archive.',
      'A full backup needs no other. A differential one (--type=diff) stores what has changed since the last full backup, an incremental one (--type=incr) what has changed since the last backup of any type. Without --type it is incremental, or full when there is nothing to build on.',
      'Files whose size and modification time are as before are taken to be unchanged; with --delta they are read and compared by checksum. That is done by itself when something says that time stamps cannot be trusted: a switch of the timeline, a file from the future, a time that went back.',
      'A backup that was interrupted is gone on with by the next one of the same type: what it has stored is checked and kept (--no-resume: removed).',
      'Afterwards what is past its retention is removed from the same repository, as expire does (--no-expire-auto: nothing is).',
    ],
    examples: [
      {
        text: 'Back up now, without waiting for the next checkpoint',
        command: 'pgsurety --stanza=main --type=full --start-fast backup',
      },
      {
        text: 'Note why the backup was made',
        command: 'pgsurety --stanza=main --type=full --annotation=reason=upgrade backup',
      },
      {
        text: 'Store what has changed since the last full backup',
        command: 'pgsurety --stanza=main --type=diff backup',
      },
    ],
    parameters: [],
    support: 'works',
  },
  check: {
    summary: 'check configuration, cluster and archive',
    description: [
      'Connects to the cluster, checks its archive settings, switches WAL and waits for the segment to arrive in the archive. Without --stanza every stanza of the configuration is checked.',
      'When a segment does not arrive it says why: the server, its log, the disks and the rights of its user are looked at, and there is one verdict with one command that helps.',
    ],
    examples: [
      { text: 'After every change of configuration', command: 'pgsurety --stanza=main check' },
      { text: 'For programs', command: 'pgsurety --output=json check' },
    ],
    parameters: [],
    support: 'works',
  },
  completion: {
    summary: 'print a completion script for a shell',
    description: ['Prints a script for bash, zsh or fish that completes commands and options.'],
    examples: [
      { text: 'In ~/.bashrc', command: 'source <(pgsurety completion bash)' },
      {
        text: 'For fish',
        command: 'pgsurety completion fish > ~/.config/fish/completions/pgsurety.fish',
      },
    ],
    parameters: ['[shell]'],
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
      'Restores a database of the latest dump set, or the one --set names, as a new database, of the same or a newer major version of PostgreSQL. What stands against it is looked for first and told all at once; then nothing is made. With --plan nothing is made in any case.',
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
      'Reads every dump set, or the one --set names, compares all of it with the digests in its manifest, and has pg_restore read every dump to its end.',
      'Exits with 0 when everything was read and is right, with 103 when something is damaged or missing, and with 105 when nothing is known to be wrong but something could not be read.',
    ],
    examples: [{ text: 'All dump sets', command: 'pgsurety --stanza=main dump-verify' }],
    parameters: [],
    support: 'works',
    origin: 'pgsurety',
  },
  expire: {
    summary: 'remove backups and WAL past their retention',
    description: [
      'Removes backups that the retention options no longer keep, and the WAL that only they needed.',
      'What a backup that stays needs is never removed. Nothing is removed while something in the repository cannot be read, or when time-based retention meets a clock that seems to have jumped.',
      'With --explain it prints for every backup and every range of WAL who keeps it, or why it goes, and removes nothing.',
    ],
    examples: [
      { text: 'Apply the retention options', command: 'pgsurety --stanza=main expire' },
      { text: 'See what would go, and why', command: 'pgsurety --stanza=main expire --explain' },
      {
        text: 'Remove one backup, and those that build on it',
        command: 'pgsurety --stanza=main --set=20260102-030405F expire',
      },
    ],
    parameters: [],
    support: 'works',
  },
  'file-get': {
    summary: 'get a file of the cluster from a backup',
    description: [
      'Copies one file of the latest backup, or the one --set names, to a new file, out of bundles, blocks and older backups, and checks it.',
      'The file is named by its path in the data directory. A destination that exists is not overwritten.',
    ],
    examples: [
      {
        text: 'Look at a table as it was in the latest backup',
        command: 'pgsurety --stanza=main file-get base/16384/2619 /tmp/2619',
      },
      {
        text: 'The configuration of an older one',
        command:
          'pgsurety --stanza=main --set=20260102-030405F file-get postgresql.conf /tmp/postgresql.conf',
      },
    ],
    parameters: ['file', 'destination'],
    support: 'works',
    origin: 'pgsurety',
  },
  help: {
    summary: 'show help',
    description: ['Shows help for the program, for a command, or for an option of a command.'],
    examples: [
      { text: 'Options of a command', command: 'pgsurety help backup' },
      { text: 'One option', command: 'pgsurety help backup compress-level' },
    ],
    parameters: ['[command]', '[option]'],
    support: 'works',
  },
  info: {
    summary: 'show the backups and WAL in the repository',
    description: [
      'Shows each stanza with its backups and the range of WAL in the archive. The JSON output is the one of pgBackRest, field for field.',
    ],
    examples: [
      { text: 'All stanzas', command: 'pgsurety info' },
      { text: 'One backup in full', command: 'pgsurety --stanza=main --set=20260102-030405F info' },
      { text: 'For programs', command: 'pgsurety --stanza=main --output=json info' },
      { text: 'How far back, and how far on?', command: 'pgsurety --stanza=main --gaps info' },
    ],
    parameters: [],
    support: 'works',
  },
  manifest: {
    summary: 'print a backup manifest',
    description: [
      'Prints what the manifest of a backup says of its files: where each is stored, and how. With --filter, of a block-incremental file also from which backups its blocks come.',
    ],
    examples: [
      { text: 'The latest backup', command: 'pgsurety --stanza=main manifest' },
      {
        text: 'Where one file is stored',
        command: 'pgsurety --stanza=main --filter=pg_data/global/pg_control manifest',
      },
    ],
    parameters: [],
    support: 'works',
    internal: true,
  },
  ...REPO_COMMANDS,
  restore: {
    summary: 'restore a cluster',
    description: [
      'Restores the latest backup, or the one --set names, into the data directory, and writes the recovery settings that --type and --target ask for.',
      'The data directory must be empty, unless --delta or --force is given. With --plan nothing is touched.',
    ],
    examples: [
      {
        text: 'Restore the latest backup and replay all WAL',
        command: 'pgsurety --stanza=main restore',
      },
      {
        text: 'See what a restore to a point in time would do',
        command:
          "pgsurety --stanza=main --type=time --target='2026-01-02 03:04:05+00' --plan restore",
      },
      {
        text: 'Restore it over the old files, copying only what differs',
        command:
          "pgsurety --stanza=main --delta --type=time --target='2026-01-02 03:04:05+00' restore",
      },
    ],
    parameters: [],
    support: 'works',
  },
  server: {
    summary: 'serve other hosts over TLS',
    description: ['Lets other hosts reach the cluster or the repository of this one.'],
    examples: [{ text: 'Run the server', command: 'pgsurety server' }],
    parameters: [],
    support: 'not-yet',
  },
  'server-ping': {
    summary: 'check that a server answers',
    description: ['Sends one request to the TLS server of a host.'],
    examples: [{ text: 'Ping a host', command: 'pgsurety server-ping db1' }],
    parameters: ['[host]'],
    support: 'not-yet',
  },
  'stanza-create': {
    summary: 'make the repository ready for a cluster',
    description: [
      'Writes archive.info and backup.info for the cluster at pg1-path. Decide on encryption first: it cannot be added or removed later.',
    ],
    examples: [{ text: 'Once for each cluster', command: 'pgsurety --stanza=main stanza-create' }],
    parameters: [],
    support: 'works',
  },
  'stanza-delete': {
    summary: 'remove all backups and WAL of a stanza',
    description: [
      'Removes everything a stanza holds in one repository. The stanza must be stopped first (see stop), and PostgreSQL too unless --force is given.',
      'Removes the stop file as well, once everything is gone.',
    ],
    examples: [
      { text: 'Remove a stanza', command: 'pgsurety --stanza=main --repo=1 stanza-delete' },
    ],
    parameters: [],
    support: 'works',
  },
  'stanza-upgrade': {
    summary: 'tell the repository of a major upgrade of PostgreSQL',
    description: [
      'Records the new version and system identifier of an upgraded cluster. Run it after pg_upgrade and before WAL is archived; the next backup is a full one. Older backups stay, and restore with the old version.',
    ],
    examples: [{ text: 'After pg_upgrade', command: 'pgsurety --stanza=main stanza-upgrade' }],
    parameters: [],
    support: 'works',
  },
  start: {
    summary: 'allow commands to run after stop',
    description: ['Removes the stop file of the stanza, or without --stanza that of all stanzas.'],
    examples: [{ text: 'For one stanza', command: 'pgsurety --stanza=main start' }],
    parameters: [],
    support: 'works',
  },
  stop: {
    summary: 'keep commands from running',
    description: [
      'Writes the stop file, which forbids every command that writes to the repository, on this host, for the stanza or without --stanza for all.',
      'With --force the running ones are ended too. pgBackRest does that only when there was no stop file yet.',
    ],
    examples: [
      { text: 'For one stanza', command: 'pgsurety --stanza=main stop' },
      { text: 'End what is running', command: 'pgsurety --stanza=main --force stop' },
    ],
    parameters: [],
    support: 'works',
  },
  verify: {
    summary: 'verify the contents of the repository',
    description: [
      'Reads every backup and all WAL and compares them with their checksums, the info files and manifests with their copies and with each other, and looks for WAL that should be there. Of several repositories all are verified unless --repo names one.',
      'Exits with 0 when everything was read and is right, with 103 when something is damaged or missing, and with 105 when nothing is known to be wrong but something could not be read. pgBackRest exits with 0 whatever it finds.',
      'Names each object that is wrong, the backups that need it, and the time that can no longer be reached.',
    ],
    examples: [
      { text: 'One stanza', command: 'pgsurety --stanza=main verify' },
      { text: 'A report', command: 'pgsurety --stanza=main --output=text --verbose verify' },
      {
        text: 'Only whether all files are there and as long as they should be',
        command: 'pgsurety --stanza=main --level=presence verify',
      },
    ],
    parameters: [],
    support: 'works',
  },
  version: {
    summary: 'show the version',
    description: ['Shows the version; with --output=num as one number that sorts.'],
    examples: [{ text: 'For scripts', command: 'pgsurety --output=num version' }],
    parameters: [],
    support: 'works',
  },
} as const satisfies Readonly<Record<string, CommandRow>>

export type CommandName = keyof typeof COMMANDS

export function isCommandName(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name)
}

export const COMMAND_NAMES: readonly CommandName[] = Object.keys(COMMANDS).filter(isCommandName)

/** Fewest and most parameters a command takes. */
export function parameterCount(row: CommandRow): { readonly min: number; readonly max: number } {
  const min = row.parameters.filter((name) => !name.startsWith('[')).length
  return { min, max: row.parameters.length }
}

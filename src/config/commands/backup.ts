/** Rows of the command table: backups of a cluster. */
import type { CommandRow } from '../command-row.ts'

export const BACKUP_ROWS = {
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
} as const satisfies Readonly<Record<string, CommandRow>>

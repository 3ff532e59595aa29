/** Rows of the command table: the commands PostgreSQL calls for WAL, and check. */
import type { CommandRow } from '../command-row.ts'

export const ARCHIVE_ROWS = {
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
} as const satisfies Readonly<Record<string, CommandRow>>

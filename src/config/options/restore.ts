import type { OptionRow } from '../option-row.ts'

export const RESTORE_OPTIONS = {
  'archive-mode': {
    kind: 'choice',
    summary: 'Keep archive_mode in the restored cluster, or turn it off.',
    commands: ['restore'],
    default: 'preserve',
    allowed: ['preserve', 'off'],
  },
  'db-exclude': {
    kind: 'list',
    summary: 'Database to restore as empty files; dump: not to dump, by name or pattern (*, ?).',
    commands: ['dump', 'restore'],
  },
  'db-include': {
    kind: 'list',
    summary:
      'Database to restore; all others become empty files. dump: to dump, by name or pattern (*, ?).',
    commands: ['dump', 'restore'],
  },
  'link-all': {
    kind: 'boolean',
    summary: 'Restore symbolic links as links.',
    commands: ['restore'],
    default: 'n',
  },
  'link-map': {
    kind: 'hash',
    summary: 'Destination of a symbolic link, as link=path.',
    commands: ['restore'],
  },
  'recovery-option': {
    kind: 'hash',
    summary: 'Recovery setting to add, as name=value.',
    commands: ['restore'],
    depends: {
      option: 'type',
      values: ['default', 'immediate', 'lsn', 'name', 'time', 'standby', 'xid'],
    },
  },
  'tablespace-map': {
    kind: 'hash',
    summary: 'New path of a tablespace, as id-or-name=path.',
    commands: ['restore'],
  },
  'tablespace-map-all': {
    kind: 'string',
    summary: 'Directory for all tablespaces that have no mapping.',
    commands: ['restore'],
  },
  'target-timezone': {
    kind: 'string',
    summary: "Zone of a --target without one: an IANA name, 'local' or an offset such as +02:00.",
    commands: ['restore'],
    depends: { option: 'type', values: ['time'] },
    origin: 'pgsurety',
  },
} as const satisfies Readonly<Record<string, OptionRow>>

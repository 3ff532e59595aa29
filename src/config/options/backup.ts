import type { OptionRow } from '../option-row.ts'

export const BACKUP_OPTIONS = {
  annotation: {
    kind: 'hash',
    summary: 'Note on the backup or dump, as key=value.',
    commands: ['annotate', 'backup', 'dump'],
    byCommand: { annotate: { required: true } },
  },
  'backup-standby': {
    kind: 'choice',
    summary: 'Copy files from a standby.',
    commands: ['backup', 'check'],
    default: 'n',
    allowed: ['n', 'prefer', 'y'],
    booleanLike: true,
  },
  'checksum-page': {
    kind: 'boolean',
    summary: 'Verify data page checksums; unset: when the cluster has them.',
    commands: ['backup'],
  },
  'checksum-page-error': {
    kind: 'boolean',
    summary: 'Fail when a page checksum is wrong; expire: when the oldest backup left has one.',
    commands: ['backup', 'expire', 'restore'],
    default: 'n',
    byCommand: {
      restore: { default: 'y', supported: ['y'] },
      expire: { default: 'y' },
    },
  },
  exclude: {
    kind: 'list',
    summary: 'Path, relative to the data directory, to leave out.',
    commands: ['backup'],
  },
  'expire-auto': {
    kind: 'boolean',
    summary: 'Expire after a successful backup or dump.',
    commands: ['backup', 'dump'],
    default: 'y',
  },
  'manifest-save-threshold': {
    kind: 'size',
    summary: 'How many bytes to copy between saves of the manifest.',
    commands: ['backup'],
    default: '1GiB',
    range: ['1B', '1TiB'],
  },
  'page-header-check': {
    kind: 'boolean',
    summary: 'Verify data page headers.',
    commands: ['backup'],
    default: 'y',
  },
  resume: {
    kind: 'boolean',
    summary: 'Reuse files of a backup that was cut off.',
    commands: ['backup'],
    default: 'y',
  },
  'start-fast': {
    kind: 'boolean',
    summary: 'Start with an immediate checkpoint instead of waiting for the next one.',
    commands: ['backup'],
    default: 'n',
  },
  'stop-auto': {
    kind: 'boolean',
    summary: 'Stop a backup another process left running.',
    commands: ['backup'],
    default: 'n',
    internal: true,
    support: 'not-yet',
  },
} as const satisfies Readonly<Record<string, OptionRow>>

import type { OptionRow } from '../option-row.ts'

export const ARCHIVE_OPTIONS = {
  'archive-async': {
    kind: 'boolean',
    summary: 'Push and get WAL in the background.',
    commands: ['archive-get', 'archive-push'],
    default: 'n',
  },
  'archive-check': {
    kind: 'boolean',
    summary: 'Check that the WAL a backup needs is in the archive.',
    commands: ['archive-push', 'backup', 'check'],
    default: 'y',
    byCommand: { backup: { depends: { option: 'online', values: ['y'], otherwise: 'n' } } },
  },
  'archive-copy': {
    kind: 'boolean',
    summary: 'Store the WAL a backup needs with the backup.',
    commands: ['backup'],
    default: 'n',
    byCommand: { backup: { depends: { option: 'archive-check', values: ['y'], otherwise: 'n' } } },
  },
  'archive-get-queue-max': {
    kind: 'size',
    summary: 'How much WAL to fetch in advance.',
    commands: ['archive-get'],
    default: '128MiB',
    range: ['0B', '4PiB'],
  },
  'archive-header-check': {
    kind: 'boolean',
    summary: 'Refuse WAL of another cluster.',
    commands: ['archive-push'],
    default: 'y',
  },
  'archive-missing-retry': {
    kind: 'boolean',
    summary: 'Look again for WAL that was missing before.',
    commands: ['archive-get'],
    default: 'y',
  },
  'archive-mode-check': {
    kind: 'boolean',
    summary: "Check archive_mode: 'always' is refused.",
    commands: ['archive-push', 'backup', 'check'],
    default: 'y',
    depends: { option: 'archive-check', values: ['y'], otherwise: 'n' },
  },
  'archive-push-batch-size': {
    kind: 'size',
    summary: 'How much WAL one background process pushes.',
    commands: ['archive-push'],
    default: '16GiB',
    range: ['1MiB', '4PiB'],
  },
  'archive-push-queue-max': {
    kind: 'size',
    summary: 'Above this much waiting WAL, drop it rather than fill the disk.',
    commands: ['archive-push'],
    range: ['0B', '4PiB'],
    deprecated: ['archive-queue-max'],
  },
  'archive-timeout': {
    kind: 'time',
    summary: 'How long to wait for a WAL segment to arrive in the archive.',
    commands: ['archive-get', 'archive-push', 'backup', 'check'],
    default: '1m',
    range: ['100ms', '1d'],
  },
} as const satisfies Readonly<Record<string, OptionRow>>

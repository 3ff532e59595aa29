import type { OptionRow } from '../option-row.ts'

export const DUMP_OPTIONS = {
  fingerprint: {
    kind: 'choice',
    summary: 'What to prove a restore with: of large tables all rows, a sample, or their number.',
    commands: ['dump'],
    default: 'full',
    allowed: ['full', 'sample', 'count', 'none'],
    origin: 'pgsurety',
  },
  'fingerprint-above': {
    kind: 'size',
    summary: 'Size above which a table is only sampled or counted.',
    commands: ['dump'],
    default: '10GiB',
    range: ['0B', '1PiB'],
    depends: { option: 'fingerprint', values: ['sample', 'count'] },
    origin: 'pgsurety',
  },
  'fingerprint-sample-percent': {
    kind: 'integer',
    summary: 'Rows of a large table to compare, in percent.',
    commands: ['dump'],
    default: '1',
    range: ['1', '99'],
    depends: { option: 'fingerprint', values: ['sample'] },
    origin: 'pgsurety',
  },
  jobs: {
    kind: 'integer',
    summary: 'How many tables of a database to read or restore at the same time.',
    commands: ['dump', 'dump-restore'],
    default: '1',
    range: ['1', '64'],
    origin: 'pgsurety',
  },
} as const satisfies Readonly<Record<string, OptionRow>>

import { ALL_COMMANDS, REPOSITORY_COMMANDS } from '../command-sets.ts'
import type { OptionRow } from '../option-row.ts'

export const LOG_OPTIONS = {
  'log-level-console': {
    kind: 'choice',
    summary: 'Level of messages on the console.',
    commands: ALL_COMMANDS,
    default: 'warn',
    allowed: ['off', 'error', 'warn', 'info', 'detail', 'debug', 'trace'],
  },
  'log-level-file': {
    kind: 'choice',
    summary: 'Level of messages in the log file.',
    commands: ALL_COMMANDS,
    default: 'info',
    allowed: ['off', 'error', 'warn', 'info', 'detail', 'debug', 'trace'],
  },
  'log-level-stderr': {
    kind: 'choice',
    summary: 'Level of messages on standard error instead of standard output.',
    commands: ALL_COMMANDS,
    default: 'off',
    allowed: ['off', 'error', 'warn', 'info', 'detail', 'debug', 'trace'],
  },
  'log-path': {
    kind: 'path',
    summary: 'Directory for log files.',
    commands: ALL_COMMANDS,
    default: '/var/log/pgbackrest',
  },
  'log-subprocess': {
    kind: 'boolean',
    summary: 'Log in helper processes, too.',
    commands: REPOSITORY_COMMANDS,
    default: 'n',
  },
  'log-timestamp': {
    kind: 'boolean',
    summary: 'Start each log line with date and time.',
    commands: ALL_COMMANDS,
    default: 'y',
  },
} as const satisfies Readonly<Record<string, OptionRow>>

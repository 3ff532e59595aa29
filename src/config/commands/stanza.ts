/** Rows of the command table: stanzas. */
import type { CommandRow } from '../command-row.ts'

export const STANZA_ROWS = {
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
} as const satisfies Readonly<Record<string, CommandRow>>

import { REPOSITORY_COMMANDS } from '../command-sets.ts'
import type { OptionRow } from '../option-row.ts'

export const REPO_GCS_OPTIONS = {
  'repo-gcs-bucket': {
    kind: 'string',
    summary: 'Bucket.',
    group: 'repo',
    commands: REPOSITORY_COMMANDS,
    depends: { option: 'repo-gcs-key-type' },
    required: true,
    support: 'not-yet',
  },
  'repo-gcs-endpoint': {
    kind: 'string',
    summary: 'Endpoint.',
    group: 'repo',
    commands: REPOSITORY_COMMANDS,
    default: 'storage.googleapis.com',
    depends: { option: 'repo-gcs-key-type' },
    support: 'not-yet',
  },
  'repo-gcs-key': {
    kind: 'string',
    summary: 'Key file, or token.',
    group: 'repo',
    commands: REPOSITORY_COMMANDS,
    depends: { option: 'repo-gcs-key-type', values: ['service', 'token'] },
    required: true,
    secret: true,
    support: 'not-yet',
  },
  'repo-gcs-key-type': {
    kind: 'choice',
    summary: 'Kind of key.',
    group: 'repo',
    commands: REPOSITORY_COMMANDS,
    default: 'service',
    allowed: ['service', 'token', 'auto', 'web-id'],
    depends: { option: 'repo-type', values: ['gcs'] },
    support: 'not-yet',
  },
  'repo-gcs-user-project': {
    kind: 'string',
    summary: 'Project that pays for requests.',
    group: 'repo',
    commands: REPOSITORY_COMMANDS,
    support: 'not-yet',
  },
} as const satisfies Readonly<Record<string, OptionRow>>

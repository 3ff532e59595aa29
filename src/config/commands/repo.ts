/** Rows of the command table: the commands on files of a repository. */
import type { CommandRow } from '../command-row.ts'

export const REPO_ROWS = {
  'repo-get': {
    summary: 'get a file from the repository',
    description: [
      'Writes a file of the repository to standard output, decrypted unless --raw is given, and compressed as it is stored. Of several repositories the first is read unless --repo names one.',
    ],
    examples: [{ text: 'Read an info file', command: 'pgsurety repo-get backup/main/backup.info' }],
    parameters: ['file'],
    support: 'works',
  },
  'repo-ls': {
    summary: 'list files in the repository',
    description: [
      'Lists the names below a path of the repository, which may be absolute. Of several repositories the first is listed unless --repo names one.',
    ],
    examples: [
      { text: 'List the backups', command: 'pgsurety repo-ls backup/main' },
      {
        text: 'Sizes and times of everything',
        command: 'pgsurety --output=json --recurse repo-ls',
      },
    ],
    parameters: ['[path]'],
    support: 'works',
  },
  'repo-put': {
    summary: 'put a file into the repository',
    description: [
      'Stores standard input, encrypted as repo-get decrypts it unless --raw is given. A file that is there is replaced with --force only.',
    ],
    examples: [
      {
        text: 'Put back an info file',
        command: 'pgsurety --force repo-put backup/main/backup.info <backup.info',
      },
    ],
    parameters: ['file'],
    support: 'works',
    origin: 'pgsurety',
    internal: true,
  },
  'repo-rm': {
    summary: 'remove a file or a path from the repository',
    description: [
      'Removes a file, or with --recurse a path, from the repository. What backups or recovery need is removed with --force only, without which pgBackRest removes it, too.',
    ],
    examples: [{ text: 'Remove a file', command: 'pgsurety repo-rm backup/main/file' }],
    parameters: ['[path]'],
    support: 'works',
    internal: true,
  },
} as const satisfies Readonly<Record<string, CommandRow>>

/** Rows of the command table: the program itself. */
import type { CommandRow } from '../command-row.ts'

export const PROGRAM_ROWS = {
  completion: {
    summary: 'print a completion script for a shell',
    description: ['Prints a script for bash, zsh or fish that completes commands and options.'],
    examples: [
      { text: 'In ~/.bashrc', command: 'source <(pgsurety completion bash)' },
      {
        text: 'For fish',
        command: 'pgsurety completion fish > ~/.config/fish/completions/pgsurety.fish',
      },
    ],
    parameters: ['[shell]'],
    support: 'works',
    origin: 'pgsurety',
  },
  help: {
    summary: 'show help',
    description: ['Shows help for the program, for a command, or for an option of a command.'],
    examples: [
      { text: 'Options of a command', command: 'pgsurety help backup' },
      { text: 'One option', command: 'pgsurety help backup compress-level' },
    ],
    parameters: ['[command]', '[option]'],
    support: 'works',
  },
  server: {
    summary: 'serve other hosts over TLS',
    description: ['Lets other hosts reach the cluster or the repository of this one.'],
    examples: [{ text: 'Run the server', command: 'pgsurety server' }],
    parameters: [],
    support: 'not-yet',
  },
  'server-ping': {
    summary: 'check that a server answers',
    description: ['Sends one request to the TLS server of a host.'],
    examples: [{ text: 'Ping a host', command: 'pgsurety server-ping db1' }],
    parameters: ['[host]'],
    support: 'not-yet',
  },
  version: {
    summary: 'show the version',
    description: ['Shows the version; with --output=num as one number that sorts.'],
    examples: [{ text: 'For scripts', command: 'pgsurety --output=num version' }],
    parameters: [],
    support: 'works',
  },
} as const satisfies Readonly<Record<string, CommandRow>>

import { WORKING_COMMANDS } from '../command-sets.ts'
import type { OptionRow } from '../option-row.ts'

export const TLS_OPTIONS = {
  'tls-cipher-12': {
    kind: 'string',
    summary: 'Allowed TLS 1.2 ciphers.',
    commands: WORKING_COMMANDS,
    support: 'not-yet',
  },
  'tls-cipher-13': {
    kind: 'string',
    summary: 'Allowed TLS 1.3 cipher suites.',
    commands: WORKING_COMMANDS,
    support: 'not-yet',
  },
  'tls-server-address': {
    kind: 'string',
    summary: 'Address to listen on.',
    commands: ['server', 'server-ping'],
    default: 'localhost',
    support: 'not-yet',
  },
  'tls-server-auth': {
    kind: 'hash',
    summary: 'Clients and their stanzas, as client=stanza.',
    commands: ['server'],
    required: true,
    support: 'not-yet',
  },
  'tls-server-ca-file': {
    kind: 'path',
    summary: 'CA certificate for clients.',
    commands: ['server'],
    required: true,
    support: 'not-yet',
  },
  'tls-server-cert-file': {
    kind: 'path',
    summary: 'Server certificate.',
    commands: ['server'],
    required: true,
    support: 'not-yet',
  },
  'tls-server-key-file': {
    kind: 'path',
    summary: 'Server key.',
    commands: ['server'],
    required: true,
    support: 'not-yet',
  },
  'tls-server-port': {
    kind: 'integer',
    summary: 'Port to listen on.',
    commands: ['server', 'server-ping'],
    default: '8432',
    range: ['1', '65535'],
    support: 'not-yet',
  },
} as const satisfies Readonly<Record<string, OptionRow>>

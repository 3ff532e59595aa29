/** Where a server is, as environment variables of libpq: arguments can be seen by every user of the host. */
import { AppError } from '../base/error.ts'
import { nearestName } from '../base/text.ts'
import type { ServerAddress } from './psql.ts'

export interface AskedServer {
  /** `pg1-socket-path`. Undefined: the folders that libpq is usually built with. */
  readonly socketPath: string | undefined
  readonly port: number
  /** Undefined: the operating system's name of this user. */
  readonly user: string | undefined
  /** `pg1-conninfo`, which stands instead of the other three. */
  readonly conninfo: string | undefined
}

/** libpq tries one after the other. */
const USUAL_SOCKET_PATHS = '/var/run/postgresql,/tmp'

/** What the programs get from our own environment. Nothing that says where the server is: that is configured. */
const INHERITED = [
  'HOME',
  'KRB5CCNAME',
  'KRB5_CLIENT_KTNAME',
  'KRB5_CONFIG',
  'LD_LIBRARY_PATH',
  'PATH',
  'PGPASSFILE',
  'PGPASSWORD',
  'PGSERVICEFILE',
  'PGSYSCONFDIR',
  'TMPDIR',
] as const

/** Connection parameters of libpq that have a variable. The others cannot be said in the environment. */
const VARIABLES: Readonly<Record<string, string>> = {
  channel_binding: 'PGCHANNELBINDING',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  gssdelegation: 'PGGSSDELEGATION',
  gssencmode: 'PGGSSENCMODE',
  gsslib: 'PGGSSLIB',
  host: 'PGHOST',
  hostaddr: 'PGHOSTADDR',
  krbsrvname: 'PGKRBSRVNAME',
  load_balance_hosts: 'PGLOADBALANCEHOSTS',
  options: 'PGOPTIONS',
  passfile: 'PGPASSFILE',
  port: 'PGPORT',
  require_auth: 'PGREQUIREAUTH',
  requirepeer: 'PGREQUIREPEER',
  service: 'PGSERVICE',
  servicefile: 'PGSERVICEFILE',
  ssl_max_protocol_version: 'PGSSLMAXPROTOCOLVERSION',
  ssl_min_protocol_version: 'PGSSLMINPROTOCOLVERSION',
  sslcert: 'PGSSLCERT',
  sslcertmode: 'PGSSLCERTMODE',
  sslcrl: 'PGSSLCRL',
  sslcrldir: 'PGSSLCRLDIR',
  sslkey: 'PGSSLKEY',
  sslmode: 'PGSSLMODE',
  sslnegotiation: 'PGSSLNEGOTIATION',
  sslrootcert: 'PGSSLROOTCERT',
  sslsni: 'PGSSLSNI',
  target_session_attrs: 'PGTARGETSESSIONATTRS',
  user: 'PGUSER',
}

const REFUSED: Readonly<Record<string, string>> = {
  dbname: 'The database is chosen otherwise (pg1-database, --db-include).',
  password: 'A password belongs into the password file (~/.pgpass, passfile=…).',
  sslpassword: 'Use a key without a passphrase, readable by its owner only.',
}

/** Throws `option-invalid-value` for a conninfo that is none, or says what must not be in it. */
export function serverAddress(
  env: Readonly<Record<string, string | undefined>>,
  { socketPath, port, user, conninfo }: AskedServer,
): ServerAddress {
  const variables: Record<string, string> = {}
  for (const name of INHERITED) {
    const value = env[name]
    if (value !== undefined) variables[name] = value
  }
  if (conninfo !== undefined) {
    return { env: { ...variables, ...variablesOf(conninfo) } }
  }
  const local = { PGHOST: socketPath ?? USUAL_SOCKET_PATHS, PGPORT: String(port) }
  return { env: { ...variables, ...local, ...(user === undefined ? {} : { PGUSER: user }) } }
}

/** Where the server is, for people: `db2:5432`, `/var/run/postgresql:5432`, `service backup`. */
export function placeOf({ env }: ServerAddress): string {
  const { PGSERVICE: service, PGHOST: host, PGHOSTADDR: address, PGPORT: port } = env
  const where = host ?? address
  if (where === undefined && service !== undefined) return `service ${service}`
  return `${where ?? 'the usual socket'}:${port ?? '5432'}`
}

/** For `-d` and `-l` of programs that take a conninfo there and do not look at PGDATABASE. */
export function databaseConninfo(name: string): string {
  return `dbname='${name.replaceAll(/['\\]/g, '\\$&')}'`
}

function variablesOf(conninfo: string): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {}
  for (const [key, value] of pairsOf(conninfo)) {
    const refused = REFUSED[key]
    if (refused !== undefined) throw invalid(`'${key}' does not belong into a conninfo`, refused)
    const variable = VARIABLES[key]
    if (variable === undefined) {
      const near = nearestName(key, Object.keys(VARIABLES))
      throw invalid(
        `'${key}' is not a connection parameter that can be used here`,
        near === undefined ? undefined : `Did you mean '${near}'?`,
      )
    }
    variables[variable] = value
  }
  return variables
}

/** `key = value` or `key='value'`, with `\` before `'` and `\`: libpq's own rules. */
function pairsOf(conninfo: string): readonly (readonly [key: string, value: string])[] {
  if (/^postgres(ql)?:\/\//.test(conninfo)) {
    throw invalid(
      'a conninfo is made of key=value pairs',
      'Example: host=db1 port=5432 user=backup',
    )
  }
  const pairs: (readonly [string, string])[] = []
  const pair =
    /\s*([^\s=]+)\s*=\s*(?:'((?:[^'\\]|\\[^])*)'(?=\s|$)|((?:[^\s'\\]|\\[^])(?:[^\s\\]|\\[^])*)?(?=\s|$))\s*/y
  while (pair.lastIndex < conninfo.length) {
    const at = pair.lastIndex
    const [, key, quoted, plain] = pair.exec(conninfo) ?? []
    // What cannot be understood may be a password: it is not repeated.
    if (key === undefined) throw invalid(`a conninfo has no key=value at character ${at + 1}`)
    pairs.push([key, (quoted ?? plain ?? '').replaceAll(/\\([^])/g, '$1')])
  }
  return pairs
}

function invalid(message: string, hint?: string): AppError {
  return new AppError('option-invalid-value', message, { hint })
}

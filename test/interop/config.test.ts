/** The same wrong command lines, given to pgBackRest and to our parser, end with the same exit code. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { accessSync, chmodSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { asAppError } from '../../src/base/error.ts'
import { loadConfig } from '../../src/config/config.ts'
import { renderHelp } from '../../src/config/help.ts'

const PEER =
  process.env['PGSURETY_PEER_PGBACKREST'] ?? '/var/cache/pg-peers/pgbackrest/usr/bin/pgbackrest'

const directory = mkdtempSync(join(tmpdir(), 'pgsurety-config-'))
chmodSync(directory, 0o755)
after(() => {
  rmSync(directory, { recursive: true })
})

function writeConfig(name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text, { mode: 0o644 })
  return path
}

const good = writeConfig('good.conf', '[global]\nrepo1-path=/nowhere\n[main]\npg1-path=/nowhere\n')
const outside = writeConfig('outside.conf', 'repo1-path=/a\n')
const noEquals = writeConfig('no-equals.conf', '[global]\nrepo1-path\n')
const noEnd = writeConfig('no-end.conf', '[global\nrepo1-path=/a\n')
const empty = writeConfig('empty.conf', '[global]\nrepo1-path=\n')
const twice = writeConfig('twice.conf', '[global]\nrepo1-path=/a\nrepo1-path=/b\n')
const twoNames = writeConfig('two-names.conf', '[global]\nrepo1-path=/a\nrepo-path=/b\n')
const badBoolean = writeConfig('bad-boolean.conf', '[global]\nneutral-umask=yes\n')
const noIndex = writeConfig('no-index.conf', '[global]\nrepo-bundle=y\n')
const globalPath = writeConfig('global-path.conf', '[global]\npg1-path=/a\n')
const outOfRange = writeConfig('range.conf', '[global]\nprocess-max=0\n[main]\npg1-path=/a\n')
const noPass = writeConfig('no-pass.conf', '[global]\nrepo1-cipher-type=aes-256-cbc\n')
const rangeByType = writeConfig('level.conf', '[global]\ncompress-type=lz4\ncompress-level=13\n')

/** Wrong command lines; the number is pgBackRest's exit code, for readers: the test asks pgBackRest itself. */
const CASES: readonly (readonly [number, readonly string[]])[] = [
  [30, ['--stanza=main']],
  [30, ['--version', '--stanza=main']],
  [31, ['-v']],
  [31, ['backup', '--bogus']],
  [31, ['info', '--cipher-type=aes-256-cbc']],
  [31, ['info', '--repo-bundle']],
  [31, ['info', '--repo0-path=/a']],
  [31, ['info', '--repo257-path=/a']],
  [31, ['info', '--log1-path=/a']],
  [31, ['info', '--1-path=/a']],
  [31, ['info', '---path=/a']],
  [31, ['info', '--start-fast']],
  [31, ['info', '--repo1-cipher-pass=x']],
  [31, ['info', '--stanza']],
  [31, ['info', '--stanza=a', '--stanza=b']],
  [31, ['backup', '--online', '--no-online']],
  [31, ['backup', '--no-online', '--no-online']],
  [31, ['info', '--reset-log-path', '--log-path=/a']],
  [31, ['info', '--reset-log-path=x']],
  [31, ['info', '--reset-stanza']],
  [31, ['info', '--no-process-max']],
  [31, ['info', '--log-level']],
  [31, ['info', '--backup1-host=a']],
  [31, [`--config=${good}`, '--stanza=main', 'restore', '--target=x']],
  [31, [`--config=${good}`, '--stanza=main', 'backup', '--force']],
  [31, [`--config=${good}`, '--stanza=main', '--spool-path=/a', 'archive-push', '/a']],
  [31, [`--config=${good}`, '--stanza=main', 'backup', '--annotation=x']],
  [31, [`--config=${good}`, '--stanza=main', 'restore', '--type=immediate', '--target=x']],
  [31, [`--config=${twice}`, 'info']],
  [31, [`--config=${twoNames}`, 'info']],
  [31, [`--config=${noIndex}`, 'info']],
  [31, ['backup', '--version']],
  [32, ['info', '--log-timestamp=yes']],
  [32, ['--no-config', 'info', '--output=xml']],
  [32, ['--no-config', 'info', '--buffer-size=17KiB']],
  [32, ['--no-config', 'info', '--buffer-size=lots']],
  [32, ['--no-config', 'info', '--io-timeout=2h']],
  [32, ['--no-config', 'info', '--log-path=relative']],
  [32, ['--no-config', 'info', '--log-path=/a//b']],
  [32, ['--no-config', 'info', '--repo1-path=']],
  [32, [`--config=${empty}`, 'info']],
  [32, [`--config=${badBoolean}`, '--stanza=main', '--pg1-path=/a', 'backup']],
  [32, [`--config=${outOfRange}`, '--stanza=main', 'backup']],
  [32, [`--config=${rangeByType}`, '--stanza=main', '--pg1-path=/a', 'backup']],
  [32, [`--config=${good}`, '--stanza=main', '--db-timeout=10m', '--protocol-timeout=5m', 'check']],
  [29, [`--config=${outside}`, 'info']],
  [29, [`--config=${noEquals}`, 'info']],
  [29, [`--config=${noEnd}`, 'info']],
  [37, ['--no-config', 'backup']],
  [37, ['--no-config', 'backup', '--stanza=main']],
  [37, [`--config=${globalPath}`, '--stanza=main', 'backup']],
  [37, [`--config=${noPass}`, 'info']],
  [37, [`--config=${good}`, '--stanza=main', 'restore', '--type=time']],
  [48, ['bakcup']],
  [48, ['backup:nonsense']],
  [48, ['help', 'bakcup']],
  [31, ['help', 'backup', 'bogus']],
  [96, ['help', 'backup', 'type', 'extra']],
  [96, ['--no-config', '--stanza=main', '--pg1-path=/a', 'backup', 'extra']],
  [43, ['--no-config', '--stanza=main', 'archive-push']],
  [55, ['--config=/nowhere/at/all', 'info']],
  [73, ['--config-include-path=/nowhere/at/all', 'info']],
]

function peerExitCode(argv: readonly string[]): number | null {
  const asPostgres = ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups']
  const plain = ['env', '-i', 'PATH=/usr/bin:/bin', 'HOME=/tmp', PEER, '--log-level-file=off']
  // help and version accept no log options.
  const own = /^(?:help|--version|-v)/.test(argv[0] ?? '') ? plain.slice(0, -1) : plain
  const [program = '', ...rest] = process.getuid?.() === 0 ? [...asPostgres, ...own] : own
  return spawnSync(program, [...rest, ...argv], { encoding: 'utf8' }).status
}

function ownExitCode(argv: readonly string[]): number {
  try {
    const config = loadConfig({ argv, env: {}, programName: 'pgsurety' })
    if (config.command === 'help') renderHelp(config.parameters)
    return 0
  } catch (error) {
    return asAppError(error).exitCode
  }
}

function peerMissing(): string | false {
  try {
    accessSync(PEER, constants.X_OK)
    return false
  } catch {
    return `NOT COMPARED: no pgBackRest at '${PEER}'; set PGSURETY_PEER_PGBACKREST`
  }
}

test('wrong command lines end with the exit code of pgBackRest', { skip: peerMissing() }, () => {
  const compared = CASES.map(([documented, argv]) => ({
    argv: argv.join(' '),
    documented,
    own: ownExitCode(argv),
    peer: peerExitCode(argv),
  }))

  const different = compared.filter(
    ({ own, peer, documented }) => own !== peer || own !== documented,
  )
  assert.deepEqual(different, [])
})

test('wrong environments end with the exit code of pgBackRest', { skip: peerMissing() }, () => {
  const environments = [
    { PGBACKREST_LOG_PATH: '' },
    { PGBACKREST_NEUTRAL_UMASK: 'yes' },
    { PGBACKREST_REPO_BUNDLE: 'y' },
    { PGBACKREST_PROCESS_MAX: 'x' },
  ]
  const argv = ['--no-config', '--stanza=main', '--pg1-path=/a', 'backup']
  for (const env of environments) {
    const set = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    const asPostgres = ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups']
    const line = ['env', '-i', ...set, PEER, ...argv]
    const [program = '', ...rest] = process.getuid?.() === 0 ? [...asPostgres, ...line] : line
    const peer = spawnSync(program, rest).status
    let own = 0
    try {
      loadConfig({ argv, env, programName: 'pgsurety' })
    } catch (error) {
      own = asAppError(error).exitCode
    }
    assert.equal(own, peer, set.join(' '))
  }
})

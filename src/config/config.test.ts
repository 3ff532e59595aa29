import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isErrorKind, type ErrorKind } from '../base/error.ts'
import type { ConfigFiles } from './config-files.ts'
import { loadConfig, type Config, type ConfigInput } from './config.ts'

interface Host {
  readonly files?: Readonly<Record<string, string>>
  readonly env?: ConfigInput['env']
  readonly modes?: Readonly<Record<string, number>>
}

const hostFiles = ({ files = {}, modes = {} }: Host): ConfigFiles => ({
  read: (path) => files[path],
  list: (path) => {
    const names = Object.keys(files).filter((name) => name.startsWith(`${path}/`))
    return names.length === 0 ? undefined : names.map((name) => name.slice(path.length + 1))
  },
  mode: (path) => (path in files ? (modes[path] ?? 0o640) : undefined),
  run: (command) => `output of ${command}\n`,
})

const load = (argv: string, host: Host = {}): Config =>
  loadConfig({
    argv: argv.split(' ').filter((word) => word !== ''),
    env: host.env ?? {},
    files: hostFiles(host),
    programName: 'pgsurety',
  })

const fails = (kind: ErrorKind, argv: string, host: Host = {}): void => {
  assert.throws(
    () => load(argv, host),
    (error) => isErrorKind(error, kind),
    `${argv}: ${kind}`,
  )
}

const MAIN = '/etc/pgbackrest/pgbackrest.conf'

const GUIDE = `[global]
repo1-path=/var/lib/pgbackrest
repo1-retention-full=2
repo1-retention-diff=7
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=use-a-strong-passphrase
log-level-console=info
log-level-file=debug

[main]
pg1-path=/var/lib/postgresql/17/main
pg1-user=postgres
`

test("the guide's own configuration file is read unchanged, without a warning, by every command", () => {
  for (const argv of [
    'backup',
    'check',
    'info',
    'restore',
    'stanza-create',
    'archive-push x',
    'archive-get x y',
  ]) {
    const config = load(`--stanza=main ${argv}`, { files: { [MAIN]: GUIDE } })

    assert.deepEqual(config.warnings, [], argv)
    assert.equal(config.text('repo-path'), '/var/lib/pgbackrest')
    assert.equal(config.text('log-level-file'), 'debug')
    assert.equal(config.secret('repo-cipher-pass')?.reveal(), 'use-a-strong-passphrase')
  }
})

test('each key of the guide has its effect', () => {
  const config = load('--stanza=main backup', { files: { [MAIN]: GUIDE } })

  assert.equal(config.integer('repo-retention-full'), 2)
  assert.equal(config.integer('repo-retention-diff'), 7)
  assert.equal(config.text('repo-cipher-type'), 'aes-256-cbc')
  assert.equal(config.text('log-level-console'), 'info')
  assert.equal(config.text('pg-path'), '/var/lib/postgresql/17/main')
  assert.equal(config.text('pg-user'), 'postgres')
  assert.deepEqual(config.indexes('repo'), [1])
})

test('the command line beats the environment, ours beats that of pgBackRest, and both beat files', () => {
  const host = {
    files: {
      [MAIN]:
        '[global]\nprocess-max=2\nbuffer-size=2MiB\nlog-path=/file\nrepo1-retention-full=1\n[main]\npg1-path=/pg',
    },
    env: {
      PGBACKREST_PROCESS_MAX: '3',
      PGSURETY_BUFFER_SIZE: '4MiB',
      PGBACKREST_BUFFER_SIZE: '8MiB',
    },
  }
  const config = load('--stanza=main --process-max=5 backup', host)

  assert.equal(config.integer('process-max'), 5)
  assert.equal(config.source('process-max'), 'command-line')
  assert.equal(config.bytes('buffer-size'), 4_194_304)
  assert.equal(config.source('buffer-size'), 'environment')
  assert.equal(config.text('log-path'), '/file')
  assert.equal(config.source('log-path'), 'file')
  assert.equal(config.source('type'), 'default')
})

test('sections are searched from stanza and command to global, and lists are not merged', () => {
  const text = `[global]
process-max=1
compress-level=1
start-fast=y
exclude=a
[global:backup]
compress-level=2
[main]
pg1-path=/pg
compress-level=3
exclude=b
exclude=c
[main:backup]
start-fast=n
[global]
repo1-retention-full=1`
  const config = load('--stanza=main backup', { files: { [MAIN]: text } })

  assert.equal(config.integer('compress-level'), 3)
  assert.equal(config.flag('start-fast'), false)
  assert.deepEqual(config.list('exclude'), ['b', 'c'])
})

test('reset goes back to the default whatever files and environment say', () => {
  const host = { files: { [MAIN]: GUIDE }, env: { PGBACKREST_PROCESS_MAX: '3' } }
  const config = load('--stanza=main --reset-process-max --reset-repo1-retention-diff backup', host)

  assert.equal(config.integer('process-max'), 1)
  assert.equal(config.optionalInteger('repo-retention-diff'), undefined)
})

test('files of the first place that has any are read, and conf.d in byte order', () => {
  const both = {
    '/etc/pgsurety/conf.d/b.conf': '[main]\npg1-path=/b',
    '/etc/pgsurety/conf.d/a.conf': '[global]\nlog-path=/a',
    '/etc/pgsurety/conf.d/note.txt': 'not read',
    [MAIN]: '[main]\npg1-path=/theirs',
  }

  assert.equal(load('--stanza=main restore', { files: both }).text('pg-path'), '/b')
  const old = { '/etc/pgbackrest.conf': '[main]\npg1-path=/old' }
  assert.equal(load('--stanza=main restore', { files: old }).text('pg-path'), '/old')
})

test('--config reads that file only, --no-config none, and asked-for files must exist', () => {
  const files = {
    '/x.conf': '[main]\npg1-path=/x',
    '/d/one.conf': '[main]\npg1-user=d',
    '/p/pgbackrest.conf': '[main]\npg1-path=/p',
    '/p/conf.d/a.conf': '[global]\nlog-path=/p/log',
    '/etc/pgbackrest/conf.d/a.conf': '[global]\nlog-path=/etc-log',
  }
  const at = (argv: string): Config => load(`--stanza=main ${argv}`, { files })

  assert.equal(at('--config=/x.conf restore').text('log-path'), '/var/log/pgbackrest')
  assert.equal(at('--config=/x.conf --config-include-path=/d check').text('pg-user'), 'd')
  assert.equal(at('--config-path=/p restore').text('log-path'), '/p/log')
  assert.equal(at('--no-config --pg1-path=/q restore').text('log-path'), '/var/log/pgbackrest')
  fails('file-missing', '--config=/none info', { files })
  fails('path-missing', '--config-include-path=/none info', { files })
})

test('help, version and completion work whatever the files and the environment hold', () => {
  const broken = { files: { [MAIN]: 'nonsense' }, env: { PGBACKREST_PROCESS_MAX: '' } }

  assert.equal(load('version', broken).command, 'version')
  assert.equal(load('--version', broken).command, 'version')
  assert.deepEqual(load('backup --help', broken).parameters, ['backup'])
  assert.deepEqual(load('help backup type', broken).parameters, ['backup', 'type'])
  assert.equal(load('', broken).command, 'help')
  assert.deepEqual(load('completion fish', broken).parameters, ['fish'])
  fails('format', 'info', broken)
})

test('an unknown key in a file is an error that names the nearest one', () => {
  const files = { [MAIN]: '[global]\nrepo1-retention-ful=2' }

  assert.throws(() => load('--stanza=main backup', { files }), {
    kind: 'option-invalid',
    hints: ["did you mean 'repo1-retention-full'?"],
  })
})

test('an unknown name in the environment is a warning', () => {
  const [warning = ''] = load('info', { env: { PGBACKREST_STANZ: 'x' } }).warnings

  assert.equal(warning, "environment contains invalid option 'stanz'\nHINT: did you mean 'stanza'?")
})

test('options of other commands in a file do no harm, except a warning in a command section', () => {
  const text =
    '[global]\ndb-include=x\nstart-fast=y\n[global:info]\nstart-fast=y\nforce=y\nno-delta=y\npg1-path=/x'

  assert.deepEqual(load('info', { files: { [MAIN]: text } }).warnings, [
    "configuration file contains option 'start-fast' invalid for section 'global:info'",
    "configuration file contains command-line only option 'force'",
    "configuration file contains negate option 'no-delta'",
    "configuration file contains option 'pg1-path' invalid for section 'global:info'",
  ])
})

test('two names of one option in a section, and an option twice, are errors', () => {
  fails('option-invalid', 'info', { files: { [MAIN]: '[global]\nrepo-path=/a\nrepo1-path=/b' } })
  fails('option-invalid', 'info', { files: { [MAIN]: '[global]\nrepo1-path=/a\nrepo1-path=/b' } })
})

test('a dependency that is not met is an error on the command line and nothing in a file', () => {
  const files = { [MAIN]: '[global]\nrepo1-s3-bucket=b\nrepo1-cipher-pass=x' }

  const config = load('info', { files })

  assert.equal(config.has('repo-s3-bucket'), false)
  assert.equal(config.has('repo-cipher-pass'), false)
  fails('option-invalid', '--stanza=m --pg1-path=/p --target=x restore')
})

test('dependent options take the value that goes with what they depend on', () => {
  const config = load('--stanza=m --pg1-path=/p --compress-type=none --no-archive-check backup')

  assert.equal(config.integer('compress-level'), 0)
  assert.equal(config.flag('archive-mode-check'), false)
  assert.equal(load('--stanza=m --compress-type=zst archive-push x').integer('compress-level'), 3)
})

test('each repository has options of its own, whatever their keys are', () => {
  const config = load('--repo2-path=/a --repo4-path=/b --repo4-type=posix info')

  assert.deepEqual(config.indexes('repo'), [2, 4])
  assert.equal(config.text('repo-path', 4), '/b')
  assert.throws(
    () => load('info --repo1-path=/a --repo2-type=cifs'),
    /value 'cifs' of option 'repo2-type' is not yet supported/,
  )
})

test('what does not work yet is refused by name, also from files, unless it has its default', () => {
  const s3 =
    '[global]\nrepo1-type=s3\nrepo1-s3-bucket=b\nrepo1-s3-endpoint=e\nrepo1-s3-region=r\nrepo1-s3-key-type=auto'

  assert.throws(
    () => load('info', { files: { [MAIN]: s3 } }),
    /option 'repo1-s3-bucket' is not yet supported/,
  )
  assert.throws(
    () => load('--stanza=m --pg1-path=/p --pg2-path=/q --pg2-host=h check'),
    /option 'pg2-host' is not yet supported/,
  )
  assert.throws(() => load('server'), /command 'server' is not yet supported/)
  assert.throws(
    () => load('info --repo1-type=cifs'),
    /value 'cifs' of option 'repo1-type' is not yet supported/,
  )
  fails('option-invalid', '--repo1-local info')
  assert.equal(load('--no-repo1-local info').flag('repo-local'), false)
  assert.equal(load('--stanza=m --pg1-path=/p backup').text('type'), 'incr')
})

test('secrets are refused on the command line, printed nowhere and given only by secret()', () => {
  fails('option-invalid', 'info --repo1-cipher-pass=x')
  const config = load('--stanza=main info', { files: { [MAIN]: GUIDE } })

  assert(!JSON.stringify(config.fromEverywhere()).includes('strong'))
  assert.throws(
    () => config.text('repo-cipher-pass'),
    (error) => isErrorKind(error, 'assert'),
  )
  assert.equal(String(config.secret('repo-cipher-pass')), '<redacted>')
})

test('a secret may come from a file or a command, without the line end', () => {
  const files = { '/key': 'hunter2\n', [MAIN]: '[global]\nrepo1-cipher-type=aes-256-cbc' }

  const fromFile = load('info --repo1-cipher-pass-file=/key', { files, modes: { '/key': 0o600 } })
  const fromCommand = load('info --repo1-cipher-pass-command=vault', { files })

  assert.equal(fromFile.secret('repo-cipher-pass')?.reveal(), 'hunter2')
  assert.deepEqual(fromFile.warnings, [])
  assert.equal(fromFile.has('repo-cipher-pass'), true)
  assert.equal(fromCommand.secret('repo-cipher-pass')?.reveal(), 'output of vault')
})

test('a secret given twice, given nowhere, empty or missing are four different errors', () => {
  const files = { '/empty': '\n', [MAIN]: '[global]\nrepo1-cipher-type=aes-256-cbc' }
  const read = (argv: string): void => {
    load(argv, { files }).secret('repo-cipher-pass')
  }

  fails('option-invalid', 'info --repo1-cipher-pass-file=/a --repo1-cipher-pass-command=b', {
    files,
  })
  fails('option-required', 'info', { files })
  assert.throws(
    () => {
      read('info --repo1-cipher-pass-file=/empty')
    },
    (error) => isErrorKind(error, 'option-invalid-value'),
  )
  assert.throws(
    () => {
      read('info --repo1-cipher-pass-file=/none')
    },
    (error) => isErrorKind(error, 'file-missing'),
  )
})

test('secrets that others can read are warned of: key files from the group on, configuration from everybody', () => {
  const files = { '/key': 'x', [MAIN]: '[global]\nrepo1-cipher-type=aes-256-cbc' }
  const exposed = { files: { [MAIN]: GUIDE }, modes: { [MAIN]: 0o644 } }

  assert.match(
    load('info --repo1-cipher-pass-file=/key', { files }).warnings[0] ?? '',
    /^secret file '\/key'/,
  )
  assert.match(
    load('info', exposed).warnings[0] ?? '',
    /holds a secret and can be read by everybody/,
  )
})

test('compress=n means compress-type none, and both together are warned of', () => {
  const none = load('--stanza=m --no-compress archive-push x')
  const both = load('--stanza=m --no-compress --compress-type=lz4 archive-push x')

  assert.equal(none.text('compress-type'), 'none')
  assert.equal(none.integer('compress-level'), 0)
  assert.equal(both.text('compress-type'), 'lz4')
  assert.equal(both.warnings.length, 1)
})

test('the timeout left at its default follows the other, and a contradiction is an error', () => {
  const base = '--stanza=m --pg1-path=/p check'

  assert.equal(load(`${base} --db-timeout=1h`).timeMs('protocol-timeout'), 3_630_000)
  assert.equal(load(`${base} --protocol-timeout=10m`).timeMs('db-timeout'), 570_000)
  assert.equal(load(`${base} --protocol-timeout=20s`).timeMs('db-timeout'), 10_000)
  fails('option-invalid-value', `${base} --db-timeout=10m --protocol-timeout=10m`)
})

test('retention that removes nothing is warned of, and WAL is kept with the full backups', () => {
  const base = '--stanza=m --pg1-path=/p backup'

  assert.match(
    load(base).warnings[0] ?? '',
    /'repo1-retention-full' is not set for 'repo1-retention-full-type=count'/,
  )
  assert.equal(load(`${base} --repo1-retention-full=3`).integer('repo-retention-archive'), 3)
  assert.equal(
    load(`${base} --repo1-retention-full=3 --repo1-retention-full-type=time`).has(
      'repo-retention-archive',
    ),
    false,
  )
  assert.match(
    load(`${base} --repo1-retention-full=3 --repo1-retention-archive-type=diff`).warnings[0] ?? '',
    /neither option 'repo1-retention-archive' nor option 'repo1-retention-diff' is set/,
  )
})

test('options are written back for logs and for commands that call this one', () => {
  const host = { env: { PGBACKREST_EXCLUDE: 'a:b' }, files: { [MAIN]: GUIDE } }
  const config = load(
    'backup --stanza main --no-start-fast --no-archive-check --reset-log-path --repo1-retention-full=2',
    host,
  )

  assert.deepEqual(config.commandLine(), [
    { name: 'archive-check', value: 'n' },
    { name: 'reset-log-path', value: '' },
    { name: 'repo1-retention-full', value: '2' },
    { name: 'stanza', value: 'main' },
    { name: 'start-fast', value: 'n' },
  ])
  const names = new Set(config.fromEverywhere().map(({ name, value }) => `${name}=${value}`))
  assert(names.has('exclude=a') && names.has('exclude=b'))
  assert(names.has('repo1-cipher-pass=<redacted>'))
})

test('a password in a conninfo is not written back', () => {
  for (const conninfo of ['password=x', 'sslpassword=x', 'postgresql://me:x@a/shop']) {
    const config = load(`dump --stanza=main --pg1-conninfo=${conninfo}`)
    const written = config.fromEverywhere().find(({ name }) => name === 'pg1-conninfo')
    assert.equal(written?.value, '<redacted>')
  }
})

test('accessors of the wrong kind are bugs, and those of unset options too', () => {
  const config = load('info')

  assert.throws(
    () => config.integer('buffer-size'),
    (error) => isErrorKind(error, 'assert'),
  )
  assert.throws(
    () => config.text('stanza'),
    (error) => isErrorKind(error, 'assert'),
  )
  assert.equal(config.flag('start-fast'), false)
  assert.equal(config.optionalText('repo-host'), undefined)
})

test('parameters are counted: too few, too many, and none where none are allowed', () => {
  fails('param-required', '--stanza=m archive-push')
  fails('param-required', '--stanza=m --pg1-path=/p archive-get 0000')
  fails('param-invalid', '--stanza=m --pg1-path=/p archive-get a b c')
  fails('param-invalid', '--stanza=m --pg1-path=/p backup extra')
})

test('stanzas with a section are listed for commands that work on all of them', () => {
  const files = { [MAIN]: '[global]\nlog-path=/l\n[b]\n[a:backup]\n[a]\n[global:backup]' }

  assert.deepEqual(load('info', { files }).stanzas, ['b', 'a'])
})

test('the configuration for archive-push is there in milliseconds', () => {
  const host = { files: { [MAIN]: GUIDE } }
  load('--stanza=main archive-push x', host)
  const startMs = performance.now()

  for (let run = 0; run < 20; run += 1) load('--stanza=main archive-push x', host)

  assert((performance.now() - startMs) / 20 < 5)
})

test('a configured spool-path is kept for archive-push without archive-async, and refused on the command line', () => {
  const files = { [MAIN]: '[global]\nspool-path=/spool\n' }

  assert.equal(load('--stanza=main archive-push x', { files }).text('spool-path'), '/spool')
  assert.equal(load('--stanza=main archive-push x').text('spool-path'), '/var/spool/pgbackrest')
  fails('option-invalid', '--stanza=main --spool-path=/a archive-push x')
})

test('the variable that names a Node for the launcher is not taken for an option', () => {
  assert.deepEqual(
    load('--stanza=main archive-push x', { env: { PGSURETY_NODE: '/n' } }).warnings,
    [],
  )
})

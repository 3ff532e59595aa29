import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isErrorKind } from '../base/error.ts'
import { placeOf, serverAddress } from './server-address.ts'

const local = { socketPath: '/run/pg', port: 5433, user: 'backup', conninfo: undefined }

function remote(conninfo: string): Readonly<Record<string, string>> {
  return serverAddress({ PATH: '/usr/bin' }, { ...local, conninfo }).env
}

test('a local server is found by its socket, port and user', () => {
  const { env } = serverAddress({ PATH: '/usr/bin', HOME: '/h' }, local)

  assert.deepEqual(env, {
    PATH: '/usr/bin',
    HOME: '/h',
    PGHOST: '/run/pg',
    PGPORT: '5433',
    PGUSER: 'backup',
  })
})

test('the environment gives passwords, and never says where the server is', () => {
  const found = { PGHOST: 'elsewhere', PGDATABASE: 'x', PGOPTIONS: '-c a=b', PGSERVICE: 's' }
  const { env } = serverAddress(
    { ...found, PGPASSFILE: '/p', PGPASSWORD: 'w' },
    {
      ...local,
      socketPath: undefined,
      user: undefined,
    },
  )

  assert.deepEqual(env, {
    PGPASSFILE: '/p',
    PGPASSWORD: 'w',
    PGHOST: '/var/run/postgresql,/tmp',
    PGPORT: '5433',
  })
})

test('a conninfo stands instead of socket, port and user, in the spelling of libpq', () => {
  assert.deepEqual(
    remote(String.raw` host = db1  port=5432 user='a b\'c\\' passfile=/x\ y  options='' `),
    {
      PATH: '/usr/bin',
      PGHOST: 'db1',
      PGPORT: '5432',
      PGUSER: String.raw`a b'c` + '\\',
      PGPASSFILE: '/x y',
      PGOPTIONS: '',
    },
  )
  assert.deepEqual(remote('host= port=1'), { PATH: '/usr/bin', PGHOST: 'port=1' })
  assert.deepEqual(remote(''), { PATH: '/usr/bin' })
})

function placeFor(conninfo: string): string {
  return placeOf({ env: remote(conninfo) })
}

test('people are told where the server is', () => {
  assert.equal(placeOf(serverAddress({}, local)), '/run/pg:5433')
  assert.deepEqual(['host=db1', 'hostaddr=10.0.0.1 port=5434', 'service=b', ''].map(placeFor), [
    'db1:5432',
    '10.0.0.1:5434',
    'service b',
    'the usual socket:5432',
  ])
})

test('passwords, databases, unknown keys and what is no conninfo are refused by name', () => {
  const refusals: readonly (readonly [string, RegExp])[] = [
    ['host=a password=hunter2', /'password' does not belong/],
    ['sslpassword=hunter2', /'sslpassword' does not belong/],
    ['dbname=a', /'dbname' does not belong/],
    ['hots=a', /'hots' is not a connection parameter[^]*Did you mean 'host'/],
    ['postgresql://u:hunter2@h/d', /key=value pairs/],
    ["host='a", /no key=value at character 1/],
    ["host=a 'hunter2", /no key=value at character 8/],
  ]
  for (const [conninfo, expected] of refusals) {
    assert.throws(
      () => remote(conninfo),
      (error) => {
        assert(isErrorKind(error, 'option-invalid-value'))
        assert.match(error.text, expected)
        assert.doesNotMatch(error.text, /hunter2/)
        return true
      },
    )
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DatabaseDefinition } from '../../format/dump-manifest.ts'
import { createDatabaseSql, type Deviations, openDatabaseSql, settingsSql } from './database-sql.ts'

const definition: DatabaseDefinition = {
  owner: 'app',
  encoding: 'UTF8',
  localeProvider: 'libc',
  collate: 'de_DE.utf8',
  ctype: 'C',
  locale: null,
  icuRules: null,
  collationVersion: null,
  tablespace: 'fast',
  connectionLimit: -1,
  comment: null,
  grants: null,
  settings: [],
}

const asThere: Deviations = {
  owner: 'app',
  tablespace: 'fast',
  privileges: 'kept',
  missingRoles: new Set(),
  refusedSettings: [],
}

function created(part: Partial<DatabaseDefinition>, major: number): string {
  return createDatabaseSql('o"dd', { ...definition, ...part }, { major, deviations: asThere })
}

test('a database is made with encoding, locale, owner and tablespace of the source', () => {
  assert.equal(
    created({}, 17),
    `create database "o""dd" template template0 encoding 'UTF8' locale_provider libc lc_collate 'de_DE.utf8' lc_ctype 'C' owner "app" tablespace "fast" allow_connections false`,
  )
  assert.doesNotMatch(created({}, 14), /locale_provider/)
})

test('ICU and builtin locales are said in the words of the version, or refused by name', () => {
  const icu = { localeProvider: 'icu', locale: 'de-DE', icuRules: "&a < 'b" }
  assert.match(created(icu, 16), /locale_provider icu .* icu_locale 'de-DE' icu_rules '&a < ''b'/)
  assert.doesNotMatch(created(icu, 15), /icu_rules/)
  const builtin = { localeProvider: 'builtin', locale: 'C.UTF-8' }
  assert.match(created(builtin, 17), /locale_provider builtin .* builtin_locale 'C\.UTF-8'/)
  assert.throws(() => created(builtin, 16), /PostgreSQL 16 has no databases with .* 'builtin'/)
})

test('without owner and tablespace those of whoever restores are used', () => {
  const deviations = { ...asThere, owner: undefined, tablespace: undefined }
  assert.doesNotMatch(
    createDatabaseSql('a', definition, { major: 17, deviations }),
    /owner|tablespace/,
  )
})

test('settings keep their value, lists of names element by element, and those of missing roles are left out', () => {
  const settings = [
    { role: null, name: 'search_path', value: '"$user", public, "odd, ""name"""' },
    { role: null, name: 'search_path', value: '""' },
    { role: null, name: 'DateStyle', value: 'ISO, DMY' },
    { role: 'o"p', name: 'work_mem', value: '64MB' },
    { role: 'gone', name: 'work_mem', value: '1MB' },
    { role: null, name: 'app.path', value: String.raw`C:\x` },
    { role: null, name: String.raw`a.b to 1; \! "x`, value: '1' },
  ]
  const deviations = { ...asThere, missingRoles: new Set(['gone']) }

  assert.deepEqual(settingsSql('d', { ...definition, settings }, deviations), [
    `alter database "d" set "search_path" to '$user', 'public', 'odd, "name"'`,
    `alter database "d" set "search_path" to ''`,
    `alter database "d" set "DateStyle" to 'ISO, DMY'`,
    `alter role "o""p" in database "d" set "work_mem" to '64MB'`,
    String.raw`alter database "d" set "app.path" to  E'C:\\x'`,
    String.raw`alter database "d" set "a.b to 1; \! ""x" to '1'`,
  ])
})

test('privileges that were never changed are the usual ones again', () => {
  assert.deepEqual(openDatabaseSql('d', definition, asThere), [
    'comment on database "d" is null',
    'grant connect, temporary on database "d" to public',
  ])
})

test('grants, comment and connection limit are those of the source', () => {
  const grants = [
    { grantee: 'app', privilege: 'CREATE', grantable: false },
    { grantee: 'app', privilege: 'CONNECT', grantable: false },
    { grantee: 'public', privilege: 'CONNECT', grantable: false },
    { grantee: 'PUBLIC', privilege: 'TEMPORARY', grantable: true },
    { grantee: 'gone', privilege: 'CONNECT', grantable: false },
  ]
  const given = { ...definition, grants, comment: "the shop's", connectionLimit: 5 }
  const deviations = { ...asThere, missingRoles: new Set(['gone']) }

  assert.deepEqual(openDatabaseSql('d', given, deviations), [
    `comment on database "d" is 'the shop''s'`,
    'revoke TEMPORARY on database "d" from "app"',
    'grant CONNECT on database "d" to public',
    'grant TEMPORARY on database "d" to "PUBLIC" with grant option',
    'alter database "d" connection limit 5',
  ])
})

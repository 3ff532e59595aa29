import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MANIFEST } from '../../../test/harness/info-facts.ts'
import { AppError } from '../../base/error.ts'
import type { Manifest } from '../../format/manifest.ts'
import { diskPathOf, mapManifest, type MappingOptions, targetPath } from './mapping.ts'

const owner = { user: 'postgres', group: 'postgres' } as const

/** A data directory with two tablespaces and a link to a directory. */
const manifest: Manifest = {
  ...MANIFEST,
  targets: [
    { name: 'pg_data', kind: 'path', path: '/pg' },
    {
      name: 'pg_data/pg_wal',
      kind: 'link',
      path: '../wal',
      file: undefined,
      tablespaceId: undefined,
      tablespaceName: undefined,
    },
    {
      name: 'pg_tblspc/16384',
      kind: 'link',
      path: '/fast',
      file: undefined,
      tablespaceId: 16384,
      tablespaceName: 'fast',
    },
    {
      name: 'pg_tblspc/16385',
      kind: 'link',
      path: '/slow',
      file: undefined,
      tablespaceId: 16385,
      tablespaceName: 'slow',
    },
  ],
  links: [
    { name: 'pg_data/pg_tblspc/16384', destination: '/fast', ...owner },
    { name: 'pg_data/pg_tblspc/16385', destination: '/slow', ...owner },
    { name: 'pg_data/pg_wal', destination: '../wal', ...owner },
  ],
  paths: ['pg_data', 'pg_data/log', 'pg_data/pg_wal'].map((name) => ({
    name,
    user: 'postgres',
    group: 'postgres',
    mode: 0o700,
  })),
}

const options: MappingOptions = {
  dataDir: '/pg',
  tablespaceMap: new Map(),
  tablespaceMapAll: undefined,
  linkMap: new Map(),
  linkAll: 'keep',
}

/** Where the target called `name` goes. */
function placeOf(name: string, different: Partial<MappingOptions>): string | undefined {
  const mapped = mapManifest(manifest, { ...options, ...different }).manifest
  const found = mapped.targets.find((target) => target.name === name)
  return found && targetPath(mapped, found)
}

function refusal(different: Partial<MappingOptions>): string {
  try {
    mapManifest(manifest, { ...options, ...different })
  } catch (error) {
    assert(error instanceof AppError)
    return `${error.exitCode} ${error.text}`
  }
  return assert.fail('it was not refused')
}

function refusalOfLink(name: string, destination: string): string {
  return refusal({ linkMap: new Map([[name, destination]]) })
}

test('without wishes everything goes where it was, silently', () => {
  const { manifest: mapped, remaps, dissolved } = mapManifest(manifest, options)

  assert.deepEqual(mapped, manifest)
  assert.deepEqual([remaps, dissolved], [[], []])
})

test('the data directory moves, relative links move along', () => {
  const moved = { dataDir: '/restored/data' }

  assert.equal(placeOf('pg_data', moved), '/restored/data')
  assert.equal(placeOf('pg_data/pg_wal', moved), '/restored/wal')
  assert.equal(placeOf('pg_tblspc/16384', moved), '/fast')
  assert.deepEqual(mapManifest(manifest, { ...options, ...moved }).remaps, [
    "remap data directory to '/restored/data'",
  ])
})

test('a tablespace moves by name or oid, which wins over all at once; its link follows', () => {
  const tablespaceMap = new Map([
    ['fast', '/a//b/'],
    ['16384', '/a//b/'],
  ])
  const different = { tablespaceMap, tablespaceMapAll: '/all/' }

  assert.equal(placeOf('pg_tblspc/16384', different), '/a/b')
  assert.equal(placeOf('pg_tblspc/16385', different), '/all/slow')
  const { links } = mapManifest(manifest, { ...options, ...different }).manifest
  assert.deepEqual(
    links.map(({ destination }) => destination),
    ['/a/b', '/all/slow', '../wal'],
  )
})

test('what a tablespace map cannot mean is refused', () => {
  assert.match(
    refusal({ tablespaceMap: new Map([['fats', '/x']]) }),
    /^76 unable to remap invalid tablespace 'fats'\nHINT: the backup has: fast, 16384, slow, 16385; did you mean 'fast'\?$/,
  )
  assert.match(refusal({ tablespaceMap: new Map([['fast', 'x']]) }), /^76 .* must begin with \//)
  const both = new Map([
    ['fast', '/x'],
    ['16384', '/y'],
  ])
  assert.match(refusal({ tablespaceMap: both }), /^76 .* with different paths$/)
})

test('links become part of the data directory, but tablespaces stay links', () => {
  const { manifest: mapped, dissolved } = mapManifest(manifest, { ...options, linkAll: 'dissolve' })

  assert.deepEqual(dissolved, ['pg_data/pg_wal'])
  assert.deepEqual(
    mapped.links.map(({ name }) => name),
    ['pg_data/pg_tblspc/16384', 'pg_data/pg_tblspc/16385'],
  )
  assert.equal(
    mapped.targets.some(({ name }) => name === 'pg_data/pg_wal'),
    false,
  )
})

test('a mapped link stays a link, a new one is made, and names stay sorted', () => {
  const linkMap = new Map([
    ['pg_wal', '/new/wal'],
    ['log', '/var/log/pg/'],
  ])
  const { manifest: mapped, dissolved } = mapManifest(manifest, {
    ...options,
    linkMap,
    linkAll: 'dissolve',
  })

  assert.deepEqual(dissolved, [])
  assert.deepEqual(
    mapped.links.map(({ name, destination }) => `${name} ${destination}`),
    [
      'pg_data/log /var/log/pg',
      'pg_data/pg_tblspc/16384 /fast',
      'pg_data/pg_tblspc/16385 /slow',
      'pg_data/pg_wal /new/wal',
    ],
  )
  assert.deepEqual(
    mapped.targets.map(({ name }) => name),
    ['pg_data', 'pg_data/log', 'pg_data/pg_wal', 'pg_tblspc/16384', 'pg_tblspc/16385'],
  )
})

test('what a link map cannot mean is refused', () => {
  assert.match(
    refusalOfLink('pg_xlog', '/x'),
    /^78 unable to map link 'pg_xlog': it is not in the backup$/,
  )
  assert.match(refusalOfLink('pg_tblspc/16384', '/x'), /^78 .*\nHINT: use '--tablespace-map'/)
  assert.match(refusalOfLink('log', ''), /^78 '' cannot be the destination of link 'log'$/)
})

test('places inside of one another are refused', () => {
  assert.match(
    refusal({ tablespaceMap: new Map([['fast', '/pg/ts']]) }),
    /^70 link 'pg_tblspc\/16384' destination '\/pg\/ts' is in the data directory/,
  )
  assert.match(refusal({ tablespaceMap: new Map([['fast', '/slow']]) }), /^70 /)
  assert.match(refusal({ dataDir: '/fast/data' }), /^70 /)
})

test('a name leads through the data directory, or into its tablespace', () => {
  assert.equal(diskPathOf(manifest, 'pg_data'), '/pg')
  assert.equal(diskPathOf(manifest, 'pg_data/pg_wal/x'), '/pg/pg_wal/x')
  assert.equal(diskPathOf(manifest, 'pg_tblspc/16385/PG_15/5/1'), '/slow/PG_15/5/1')
  assert.throws(() => diskPathOf(manifest, 'pg_tblspc/9/x'), /no target for 'pg_tblspc\/9\/x'/)
})

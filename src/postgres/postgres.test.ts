import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  releaseOfControl,
  releaseOfVersion,
  releaseOfWalMagic,
  tablespaceDirName,
} from './postgres.ts'

test('releases that share a control version are told apart by the catalog version', () => {
  assert.equal(releaseOfControl(1300, 202007201)?.version, '13')
  assert.equal(releaseOfControl(1300, 202307071)?.version, '16')
  assert.equal(releaseOfControl(1300, 202307072), undefined)
})

test('any catalog version of the year of a beta is that beta', () => {
  assert.equal(releaseOfControl(1902, 202608011)?.version, '19')
  assert.equal(releaseOfControl(1902, 202508011), undefined)
})

test('13 to 18 are supported, older ones are only known', () => {
  assert.equal(releaseOfVersion('13')?.status, 'supported')
  assert.equal(releaseOfVersion('18')?.status, 'supported')
  assert.equal(releaseOfVersion('9.6')?.status, 'known')
  assert.equal(releaseOfVersion('8.4'), undefined)
})

test('a WAL magic names its release', () => {
  assert.equal(releaseOfWalMagic(0xd110)?.version, '15')
  assert.equal(releaseOfWalMagic(0x10d1), undefined)
})

test('the directory in a tablespace is named for release and catalog', () => {
  assert.equal(tablespaceDirName('15', 202209061), 'PG_15_202209061')
})

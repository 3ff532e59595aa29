import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { AppError, isErrorKind } from '../base/error.ts'
import { type ArchiveInfo, parseArchiveInfo, renderArchiveInfo } from './archive-info.ts'
import { type BackupInfo, parseBackupInfo, renderBackupInfo } from './backup-info.ts'
import {
  archiveInfo,
  backupInfo,
  byteString,
  jsonValue,
  manifest,
  mutation,
} from './format.arbitrary.ts'
import { parseInfoFile, renderInfoFile } from './info-file.ts'
import type { Manifest } from './manifest.ts'
import { parseManifest } from './manifest-read.ts'
import { renderManifest } from './manifest-write.ts'

/** The secret compared as text: secrets hide from deepEqual. */
const plain = (value: ArchiveInfo | BackupInfo | Manifest): object => ({
  ...value,
  cipherPass: value.cipherPass?.reveal(),
})

test('archive.info is read back as it was written', () => {
  fc.assert(
    fc.property(archiveInfo, (info) => {
      assert.deepEqual(plain(parseArchiveInfo(renderArchiveInfo(info))), plain(info))
    }),
  )
})

test('backup.info is read back as it was written', () => {
  fc.assert(
    fc.property(backupInfo, (info) => {
      assert.deepEqual(plain(parseBackupInfo(renderBackupInfo(info))), plain(info))
    }),
  )
})

test('a manifest is read back as it was written, and writing it again changes nothing', () => {
  fc.assert(
    fc.property(manifest, (written) => {
      const content = renderManifest(written)
      const read = parseManifest(content)
      assert.deepEqual(plain(read), plain(written))
      assert(renderManifest(read).equals(content))
    }),
  )
})

test('any section is read back or refused when written', () => {
  const sections = fc.dictionary(byteString, jsonValue, { maxKeys: 5 })
  fc.assert(
    fc.property(sections, (values) => {
      const section = new Map(Object.entries(values))
      let content: Buffer
      try {
        content = renderInfoFile(new Map([['s', section]]))
      } catch (error) {
        assert(isErrorKind(error, 'format'))
        return
      }
      const read = parseInfoFile(content, 'x.info').sections.get('s') ?? new Map<string, never>()
      assert.deepEqual(new Map(read), section)
    }),
  )
})

test('a damaged file is refused as damaged, never misread', () => {
  fc.assert(
    fc.property(manifest, mutation, (written, damage) => {
      const content = renderManifest(written)
      const damaged = damage(content)
      try {
        assert.deepEqual(
          { ...plain(parseManifest(damaged)), writerVersion: '' },
          { ...plain(written), writerVersion: '' },
        )
      } catch (error) {
        assert(isErrorKind(error, 'format', 'checksum'))
      }
    }),
  )
})

test('any bytes are read as an info file or refused with an AppError', () => {
  const content = fc.array(
    fc.oneof(byteString, fc.constantFrom('[backrest]\n', 'backrest-format=5\n', 'a=1\n', '\n')),
  )
  fc.assert(
    fc.property(content, (parts) => {
      assert.throws(() => parseInfoFile(Buffer.from(parts.join(''), 'latin1'), 'x'), AppError)
    }),
  )
})

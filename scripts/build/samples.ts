/**
 * Runs the fresh build on a small repository, so that the code which every start needs is compiled and lies beside its files.
 * Commands that do not run here are compiled when they start, as all are when V8 refuses what lies there.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MIB } from '../../src/base/units.ts'
import { CONTROL_FILE_PADDED_BYTES } from '../../src/postgres/control-file.ts'
import { crc32c } from '../../src/postgres/crc32c.ts'
import { segment, segments, STAND_IN_STANZA, writeStandIn } from '../../test/harness/stand-in.ts'

const NOON_S = Date.UTC(2025, 0, 1, 12) / 1000
const DAY_S = 86_400
/** In pg_control of PostgreSQL 15. */
const CRC_AT = 288

export function runSamples(entry: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'pgsurety-build-'))
  try {
    const config = writeSamples(folder)
    for (const argv of commands(folder)) {
      const all = [
        join(import.meta.dirname, 'warm.ts'),
        entry,
        `--config=${config}`,
        `--stanza=${STAND_IN_STANZA}`,
      ]
      execFileSync(process.execPath, [...all, ...argv], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: {},
      })
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function commands(folder: string): readonly (readonly string[])[] {
  const next = join(folder, segment(1, 9))
  return [
    ['--compress-type=zst', 'archive-push', next],
    ['archive-push', join(folder, segment(1, 10))],
    ['archive-get', segment(1, 9), join(folder, 'got')],
    ['info'],
    ['--output=json', 'info'],
    ['--repo1-retention-full=1', 'expire'],
  ]
}

/** A repository with two backups, two more segments, and the configuration; its path. */
function writeSamples(folder: string): string {
  writeStandIn(join(folder, 'repo'), {
    backups: [1, 2].map((day) => ({
      label: `2025010${day}-120000F`,
      stopS: NOON_S + day * DAY_S,
      archive: [segment(1, 3 * day), segment(1, 3 * day + 1)],
    })),
    wal: { '15-1': segments(1, 1, 8) },
  })
  const first = join(folder, segment(1, 9))
  writeFileSync(first, Buffer.alloc(3 * MIB, 'a page of a table'))
  copyFileSync(first, join(folder, segment(1, 10)))
  mkdirSync(join(folder, 'data/global'), { recursive: true })
  writeFileSync(join(folder, 'data/global/pg_control'), sampleControlFile())
  const lines = [
    '[global]',
    'allow-root=y',
    'archive-header-check=n',
    'log-level-console=off',
    'log-level-file=off',
    'log-level-stderr=error',
    `lock-path=${folder}`,
    `repo1-path=${folder}/repo`,
    `spool-path=${folder}`,
    `[${STAND_IN_STANZA}]`,
    `pg1-path=${folder}/data`,
  ]
  const config = join(folder, 'sample.conf')
  writeFileSync(config, `${lines.join('\n')}\n`)
  return config
}

/** Of the cluster that the stand-in is of, a PostgreSQL 15. */
function sampleControlFile(): Buffer {
  const bytes = Buffer.alloc(CONTROL_FILE_PADDED_BYTES)
  bytes.writeBigUInt64LE(7_000_000_000_000_000_001n, 0)
  bytes.writeUInt32LE(1300, 8)
  bytes.writeUInt32LE(202209061, 12)
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, CRC_AT)), CRC_AT)
  return bytes
}

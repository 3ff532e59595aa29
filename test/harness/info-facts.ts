/** Facts for tests of `info`: one stanza, one repository, one full backup; tests say what is different. */
import { NO_STORY } from '../../src/command/archive-story.ts'
import {
  NOT_HELD,
  type ListedBackup,
  type Question,
  type RepoFacts,
  type RepoFinding,
  type StanzaContent,
  type StanzaFacts,
} from '../../src/command/info/facts.ts'
import type { BackupEntry, BackupHistory } from '../../src/format/backup-info.ts'
import type { Manifest } from '../../src/format/manifest.ts'
import { entry } from './backup-entry.ts'

export const EVERYTHING: Question = {
  gaps: 'not-told',
  detail: 'full',
  label: undefined,
  kind: undefined,
}
export const PROGRESS: Question = { ...EVERYTHING, detail: 'progress' }

export const HISTORY: BackupHistory = {
  id: 1,
  systemId: 7711057360272275713n,
  version: '15',
  controlVersion: 1300,
  catalogVersion: 202209061,
}

/** 2026-11-22 18:20:58 UTC, two seconds long. */
export const FULL = entry({
  label: '20261122-182058F',
  archiveStart: '000000010000000000000023',
  archiveStop: '000000010000000000000024',
  lsnStart: '0/23000028',
  lsnStop: '0/24000100',
  startS: 1795371658,
  stopS: 1795371660,
  sizeBytes: 24557453,
  sizeDeltaBytes: 24557453,
  repoSizeBytes: 3510424,
  repoSizeDeltaBytes: 3510424,
})

export const INCR: BackupEntry = {
  ...FULL,
  label: '20261122-182058F_20261122-182101I',
  kind: 'incr',
  prior: FULL.label,
  references: [FULL.label],
  startS: 1795371661,
  stopS: 1795371664,
  sizeDeltaBytes: 1433885,
  repoSizeDeltaBytes: 31816,
}

export const MANIFEST: Manifest = {
  label: FULL.label,
  kind: 'full',
  archiveStart: FULL.archiveStart,
  archiveStop: FULL.archiveStop,
  lsnStart: FULL.lsnStart,
  lsnStop: FULL.lsnStop,
  prior: undefined,
  references: [FULL.label],
  bundle: false,
  bundleRaw: false,
  blockIncr: false,
  startS: FULL.startS,
  copyStartS: FULL.startS,
  stopS: FULL.stopS,
  db: {
    historyId: HISTORY.id,
    systemId: HISTORY.systemId,
    version: HISTORY.version,
    controlVersion: HISTORY.controlVersion,
    catalogVersion: HISTORY.catalogVersion,
  },
  options: {
    archiveCheck: true,
    archiveCopy: false,
    backupStandby: false,
    bufferSizeBytes: undefined,
    checksumPage: true,
    compressType: 'gz',
    compressLevel: undefined,
    compressLevelNetwork: undefined,
    delta: false,
    hardlink: false,
    online: true,
    processMax: undefined,
  },
  targets: [{ name: 'pg_data', kind: 'path', path: '/pg' }],
  cipherPass: undefined,
  databases: [{ name: 'postgres', oid: 5, lastSystemOid: 4 }],
  annotations: new Map(),
  files: [],
  links: [],
  paths: [],
}

export function content(different: Partial<StanzaContent> = {}): RepoFinding {
  return {
    kind: 'read',
    content: {
      currentHistory: HISTORY,
      databases: [
        {
          ...HISTORY,
          archive: {
            id: '15-1',
            range: { min: '000000010000000000000022', max: '000000010000000000000026' },
          },
        },
      ],
      backups: [FULL],
      manifest: undefined,
      ...different,
    },
  }
}

export function repo(found: RepoFinding, different: Partial<RepoFacts> = {}): RepoFacts {
  return { key: 1, cipher: 'none', backupLock: NOT_HELD, found, ...different }
}

export function stanza(...repos: readonly RepoFacts[]): StanzaFacts {
  return { name: 'demo', repos, restoreLock: NOT_HELD, dumps: [], story: NO_STORY, windows: [] }
}

export function labelsOf(backups: readonly ListedBackup[]): readonly string[] {
  return backups.map(({ entry: { label } }) => label)
}

/** `info --output=json`: member for member what pgBackRest 2.60 prints. */
import type { BackupEntry } from '../../format/backup-info.ts'
import type { JsonObject, JsonValue } from '../../format/json.ts'
import {
  type BackupDetails,
  backupLockOf,
  cipherOfStanza,
  detailsOf,
  type InfoFacts,
  type ListedBackup,
  listBackups,
  type LockFacts,
  type Question,
  type StanzaFacts,
  statusOfRepo,
  statusOfStanza,
} from './facts.ts'
import { dumpsToJson } from './dumps-report.ts'
import { windowsToJson } from './windows-report.ts'

export function infoToJson({ stanzas, question }: InfoFacts): JsonValue {
  return stanzas.map((stanza) => ({
    name: stanza.name,
    status: stanzaStatus(stanza),
    ...(question.detail === 'full' ? stanzaContent(stanza, question) : {}),
    ...(question.gaps === 'told' ? windowsToJson(stanza.windows) : {}),
  }))
}

function stanzaStatus(stanza: StanzaFacts): JsonObject {
  const { code, message } = statusOfStanza(stanza)
  return {
    code,
    message,
    lock: {
      backup: { ...lock(backupLockOf(stanza)), ...locksByRepo(stanza) },
      restore: lock(stanza.restoreLock),
    },
  }
}

function lock({ held, sizeBytes, completeBytes }: LockFacts): JsonObject {
  return sizeBytes === 0 ? { held } : { held, size: sizeBytes, 'size-cplt': completeBytes }
}

function locksByRepo(stanza: StanzaFacts): JsonObject {
  const repos = stanza.repos.filter(({ backupLock }) => backupLock.sizeBytes > 0)
  if (repos.length === 0) return {}
  return {
    repo: repos.map(({ key, backupLock }) => ({
      key,
      size: backupLock.sizeBytes,
      'size-cplt': backupLock.completeBytes,
    })),
  }
}

function stanzaContent(stanza: StanzaFacts, question: Question): JsonObject {
  const databases = stanza.repos.flatMap(({ key, found }) =>
    found.kind === 'read' ? found.content.databases.map((database) => ({ key, ...database })) : [],
  )
  return {
    archive: databases.flatMap(({ key, id, archive }) =>
      archive === undefined
        ? []
        : [
            {
              database: { id, 'repo-key': key },
              id: archive.id,
              max: archive.range?.max ?? null,
              min: archive.range?.min ?? null,
            },
          ],
    ),
    backup: listBackups(stanza, question).map((backup) => backupToJson(backup, question)),
    ...storyToJson(stanza),
    ...dumpsToJson(stanza.dumps),
    cipher: cipherOfStanza(stanza),
    db: databases.map(({ key, id, systemId, version }) => ({
      id,
      'repo-key': key,
      'system-id': systemId,
      version,
    })),
    repo: stanza.repos.map((repo) => {
      const { code, message } = statusOfRepo(repo)
      return { cipher: repo.cipher, key: repo.key, status: { code, message } }
    }),
  }
}

/** Ours: a member that pgBackRest does not have, and only when there is something to tell. */
function storyToJson({ story }: StanzaFacts): JsonObject {
  if (story.missing.length === 0 && story.drops.length === 0) return {}
  return {
    'archive-incomplete': {
      dropped: story.drops.map(({ first, last, count, firstMs, lastMs }) => ({
        count,
        first,
        last,
        timestamp: { start: secondsOf(firstMs), stop: secondsOf(lastMs) },
      })),
      missing: story.missing.map(({ repoKey, heldBy, count, from, sinceMs, reason }) => ({
        count,
        from,
        'held-by': heldBy,
        reason,
        'repo-key': repoKey,
        since: secondsOf(sinceMs),
      })),
    },
  }
}

function secondsOf(ms: number): number {
  return Math.floor(ms / 1000)
}

function backupToJson({ repoKey, entry, manifest }: ListedBackup, question: Question): JsonObject {
  const details =
    question.label === undefined || manifest === undefined ? undefined : detailsOf(manifest)
  return {
    ...annotation(entry),
    archive: { start: entry.archiveStart ?? null, stop: entry.archiveStop ?? null },
    backrest: { format: entry.format, version: entry.version },
    database: { id: entry.historyId, 'repo-key': repoKey },
    ...(entry.error === undefined ? {} : { error: entry.error }),
    info: {
      delta: entry.sizeDeltaBytes,
      repository: repositorySizes(entry),
      size: entry.sizeBytes,
    },
    label: entry.label,
    ...(entry.lsnStart === undefined || entry.lsnStop === undefined
      ? {}
      : { lsn: { start: entry.lsnStart, stop: entry.lsnStop } }),
    prior: entry.prior ?? null,
    reference: entry.references.length === 0 ? null : entry.references,
    timestamp: { start: entry.startS, stop: entry.stopS },
    type: entry.kind,
    ...(details === undefined ? {} : detailsToJson(details)),
  }
}

function annotation({ annotations }: BackupEntry): JsonObject {
  return annotations.size === 0 ? {} : { annotation: Object.fromEntries(annotations) }
}

/** With block maps the size of the whole set is not told: it would count blocks that this backup does not use. */
function repositorySizes(entry: BackupEntry): JsonObject {
  const delta = entry.repoSizeDeltaBytes
  if (entry.repoSizeMapBytes === undefined) return { delta, size: entry.repoSizeBytes ?? 0 }
  return {
    delta,
    'delta-map': entry.repoSizeMapDeltaBytes ?? 0,
    'size-map': entry.repoSizeMapBytes,
  }
}

function detailsToJson({ databases, links, tablespaces, damagedFiles }: BackupDetails): JsonObject {
  return {
    'database-ref': databases.map(({ name, oid }) => ({ name, oid })),
    link: links.length === 0 ? null : links.map(({ name, destination }) => ({ destination, name })),
    tablespace:
      tablespaces.length === 0
        ? null
        : tablespaces.map(({ name, destination, oid }) => ({ destination, name, oid })),
    ...(damagedFiles.length === 0 ? {} : { 'error-list': damagedFiles, error: true }),
  }
}

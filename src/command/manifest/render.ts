/** A manifest as text and as JSON, both as pgBackRest 2.60 prints them. Byte strings. */
import { formatSize, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../base/units.ts'
import {
  isArray,
  type JsonObject,
  type JsonValue,
  quoteJson,
  renderJson,
} from '../../format/json.ts'
import type { Manifest, ManifestFile } from '../../format/manifest.ts'
import type { Amount, BlockSource } from './block-sources.ts'

export interface ShownFile {
  readonly file: ManifestFile
  /** Undefined unless this file was asked for and is stored in blocks. */
  readonly sources: readonly BlockSource[] | undefined
}

/** The SHA-1 of no bytes: the checksum of an empty file, which manifests leave out. */
const EMPTY_CHECKSUM = 'da39a3ee5e6b4b0d3255bfef95601890afd80709'

export function manifestToText(manifest: Manifest, files: readonly ShownFile[]): string {
  const { startS, stopS } = manifest
  const times = `start: ${timeText(startS)}, stop: ${timeText(stopS)}, duration: ${durationText(stopS - startS)}`
  return `${[
    `label: ${manifest.label}`,
    `reference: ${manifest.references.join(', ')}`,
    `type: ${manifest.kind}`,
    `time: ${times}`,
    `bundle: ${manifest.bundle}`,
    `block: ${manifest.blockIncr}`,
    '',
    'file list:',
    files.map((shown) => fileText(manifest, shown)).join('\n\n'),
  ].join('\n')}\n`
}

function fileText(manifest: Manifest, { file, sources }: ShownFile): string {
  const { block } = file
  const lines = [
    ...(file.reference === undefined ? [] : [`reference: ${file.reference}`]),
    `size: ${formatSize(file.sizeBytes)}, repo ${formatSize(file.repoSizeBytes)}`,
    `checksum: ${file.checksum ?? EMPTY_CHECKSUM}`,
    ...(file.bundleId === undefined ? [] : [`bundle: ${file.bundleId}`]),
    ...(block === undefined || block.mapSizeBytes === 0
      ? []
      : [
          `block: size ${formatSize(block.sizeBytes)}, map size ${formatSize(block.mapSizeBytes)}, checksum size ${formatSize(block.checksumSizeBytes)}`,
        ]),
    ...(sources === undefined ? [] : sourcesText(manifest, file, sources)),
  ]
  return [`  - ${file.name}`, ...lines.map((line) => `      ${line}`)].join('\n')
}

function sourcesText(
  { references }: Manifest,
  { name }: ManifestFile,
  sources: readonly BlockSource[],
): readonly string[] {
  const total = (part: 'reads' | 'superBlocks' | 'blocks'): Amount => ({
    total: sources.reduce((sum, source) => sum + source[part].total, 0),
    bytes: sources.reduce((sum, source) => sum + source[part].bytes, 0),
  })
  return [
    'block delta:',
    ...sources.map(({ reference, bundleId, reads, superBlocks, blocks }) => {
      const where = `${references[reference]}/${bundleId === 0 ? `${name}.pgbi` : `bundle/${bundleId}`}`
      return `  reference: ${where}, ${amounts(reads, superBlocks, blocks)}`
    }),
    `  total ${amounts(total('reads'), total('superBlocks'), total('blocks'))}`,
  ]
}

function amounts(reads: Amount, superBlocks: Amount, blocks: Amount): string {
  return `read: ${amountText(reads)}, superBlock: ${amountText(superBlocks)}, block: ${amountText(blocks)}`
}

function amountText({ total, bytes }: Amount): string {
  return `${total}/${formatSize(bytes)}`
}

/** Local time, as pgBackRest prints it here: without an offset. */
function timeText(seconds: number): string {
  const at = new Date(seconds * SECOND_MS)
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

function durationText(seconds: number): string {
  const ms = seconds * SECOND_MS
  const hours = Math.floor(ms / HOUR_MS)
  const minutes = Math.floor(ms / MINUTE_MS) % 60
  return `${hours}:${two(minutes)}:${two(seconds % 60)}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/** Members in the order in which pgBackRest has them, which is not that of their names. */
export function manifestToJson(manifest: Manifest, files: readonly ShownFile[]): string {
  return inOrder({
    label: manifest.label,
    reference: manifest.references,
    type: manifest.kind,
    time: { start: manifest.startS, copy: manifest.copyStartS, stop: manifest.stopS },
    bundle: { bundle: manifest.bundle, raw: manifest.bundleRaw },
    block: { block: manifest.blockIncr },
    fileList: files.map(fileJson),
  })
}

function fileJson({ file, sources }: ShownFile): JsonObject {
  const { block, bundleId, bundleOffsetBytes } = file
  return {
    name: file.name,
    ...(file.reference === undefined ? {} : { reference: file.reference }),
    size: file.sizeBytes,
    checksum: file.checksum ?? EMPTY_CHECKSUM,
    repo: { size: file.repoSizeBytes },
    ...(bundleId === undefined ? {} : { bundle: { id: bundleId, offset: bundleOffsetBytes } }),
    ...(block === undefined || block.mapSizeBytes === 0
      ? {}
      : {
          block: {
            size: block.sizeBytes,
            map: {
              size: block.mapSizeBytes,
              ...(sources === undefined ? {} : { delta: sources.map(sourceJson) }),
            },
            checksum: { size: block.checksumSizeBytes },
          },
        }),
  }
}

function sourceJson({ reference, reads, superBlocks, blocks }: BlockSource): JsonObject {
  return {
    reference,
    read: { total: reads.total, size: reads.bytes },
    superBlock: { total: superBlocks.total, size: superBlocks.bytes },
    block: { total: blocks.total },
  }
}

function inOrder(value: JsonValue): string {
  if (isArray(value)) return `[${value.map(inOrder).join(',')}]`
  if (typeof value !== 'object' || value === null) return renderJson(value)
  const members = Object.entries(value)
  return `{${members.map(([name, member]) => `${quoteJson(name)}:${inOrder(member)}`).join(',')}}`
}

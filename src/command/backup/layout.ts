/** How the files of a backup are stored, as the options say it. */
import { AppError, assertThat } from '../../base/error.ts'
import { parseSize } from '../../base/units.ts'
import type { Config } from '../../config/config.ts'
import { type OptionName, optionRow } from '../../config/option-table.ts'
import type { BackupKind } from '../../format/label.ts'
import { BLOCK_UNIT_BYTES, type Manifest } from '../../format/manifest.ts'
import { BLOCK_RULES, type BlockRules, DAY_S, type Steps } from './block-size.ts'
import type { BundleRules } from './bundles.ts'
import type { Habits } from './habits.ts'

export interface Layout {
  /** Undefined: each file is an object of its own. */
  readonly bundles: BundleRules | undefined
  /** Undefined: files are stored whole. */
  readonly blocks: BlockLayout | undefined
}

export interface BlockLayout extends BlockRules {
  /** Content at which a super block is closed. */
  readonly superBlockBytes: number
}

/** What the manifest says of the layout. How bundles are stored must be the same in a whole set. */
export function formOf(
  { bundles, blocks }: Layout,
  prior: Pick<Manifest, 'bundleRaw'> | undefined,
): Pick<Manifest, 'blockIncr' | 'bundle' | 'bundleRaw'> {
  const blockIncr = blocks !== undefined
  return { bundle: bundles !== undefined, bundleRaw: prior?.bundleRaw ?? blockIncr, blockIncr }
}

/** Block checksums that the format can hold; fewer bytes than these find too little. */
const CHECKSUM_BYTES = { min: 6, max: 16 } as const

interface Asking {
  readonly repoKey: number
  readonly kind: BackupKind
  readonly habits: Habits
}

export function layoutOf(config: Config, { repoKey, kind, habits }: Asking): Layout {
  if (!habits.bundle) return { bundles: undefined, blocks: undefined }
  return {
    bundles: {
      limitBytes: bytesOf(config, 'repo-bundle-limit', repoKey),
      sizeBytes: bytesOf(config, 'repo-bundle-size', repoKey),
    },
    blocks: habits.block ? blockLayout(config, repoKey, kind) : undefined,
  }
}

/** The option's default also where it has no value because the one that it needs is not set, but a habit. */
function bytesOf(config: Config, name: OptionName, repoKey: number): number {
  if (config.has(name, repoKey)) return config.bytes(name, repoKey)
  const text = optionRow(name).default
  const bytes = typeof text === 'string' ? parseSize(text) : undefined
  assertThat(bytes !== undefined, `option '${name}' has a default`)
  return bytes
}

function blockLayout(config: Config, repoKey: number, kind: BackupKind): BlockLayout {
  const superSize = kind === 'full' ? 'repo-block-size-super-full' : 'repo-block-size-super'
  return {
    superBlockBytes: bytesOf(config, superSize, repoKey),
    sizes: stepsOf(config, repoKey, SIZE_MAP) ?? BLOCK_RULES.sizes,
    ages: stepsOf(config, repoKey, AGE_MAP) ?? BLOCK_RULES.ages,
    checksumSizes: stepsOf(config, repoKey, CHECKSUM_SIZE_MAP) ?? BLOCK_RULES.checksumSizes,
  }
}

interface MapOption {
  readonly name: 'repo-block-size-map' | 'repo-block-age-map' | 'repo-block-checksum-size-map'
  /** Undefined for what is not valid. */
  readonly from: (text: string) => number | undefined
  readonly value: (text: string) => number | undefined
}

const SIZE_MAP: MapOption = {
  name: 'repo-block-size-map',
  from: parseSize,
  value: (text) => {
    const sizeBytes = parseSize(text) ?? 0
    return sizeBytes > 0 && sizeBytes % BLOCK_UNIT_BYTES === 0 ? sizeBytes : undefined
  },
}

const AGE_MAP: MapOption = {
  name: 'repo-block-age-map',
  from: (text) => scaled(parseCount(text), DAY_S),
  value: parseCount,
}

const CHECKSUM_SIZE_MAP: MapOption = {
  name: 'repo-block-checksum-size-map',
  from: parseSize,
  value: (text) => {
    const sizeBytes = parseCount(text) ?? 0
    const isValid = sizeBytes >= CHECKSUM_BYTES.min && sizeBytes <= CHECKSUM_BYTES.max
    return isValid ? sizeBytes : undefined
  },
}

function parseCount(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined
}

function scaled(count: number | undefined, factor: number): number | undefined {
  return count === undefined ? undefined : count * factor
}

/** Undefined when the option is not set. */
function stepsOf(
  config: Config,
  repoKey: number,
  { name, from, value }: MapOption,
): Steps | undefined {
  const shown = name.replace('repo', `repo${repoKey}`)
  const valid = (text: string, parsed: number | undefined): number => {
    if (parsed !== undefined) return parsed
    throw new AppError('option-invalid-value', `'${text}' is not valid for '${shown}' option`)
  }
  const steps = Array.from(
    config.map(name, repoKey),
    ([left, right]) => [valid(left, from(left)), valid(right, value(right))] as const,
  )
  return steps.length === 0 ? undefined : steps.toSorted(([left], [right]) => right - left)
}

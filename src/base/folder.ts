import { dirname } from 'node:path'
import { errnoOf } from './error.ts'
import { mkdir } from './files.ts'

const FOLDER_MODE = 0o750

/**
 * Makes a directory of this host and those above it; no error when it is there. Not Node's recursive mkdir: that never ends
 * where a path cannot be made although nothing forbids it, as in /proc.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeOne(path)
  } catch (error) {
    const parent = dirname(path)
    if (errnoOf(error) !== 'ENOENT' || parent === path) throw error
    await makeFolder(parent)
    await makeOne(path)
  }
}

async function makeOne(path: string): Promise<void> {
  try {
    await mkdir(path, FOLDER_MODE)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
}

/**
 * Calls of `node:fs/promises` that commands which run once per segment need: loading that module takes a tenth of their start.
 * Not for: commands that people start.
 */
import * as fs from 'node:fs'
import { promisify } from 'node:util'

export const copyFile = promisify(fs.copyFile)
export const fdatasync = promisify(fs.fdatasync)
export const fsync = promisify(fs.fsync)
export const link = promisify(fs.link)
export const lstat = promisify(fs.lstat)
export const mkdir = promisify(fs.mkdir)
export const open = promisify(fs.open)
export const readFile = promisify(fs.readFile)
export const readdir = promisify(fs.readdir)
export const readlink = promisify(fs.readlink)
export const rename = promisify(fs.rename)
export const rm = promisify(fs.rm)
export const rmdir = promisify(fs.rmdir)
export const stat = promisify(fs.stat)
export const symlink = promisify(fs.symlink)
export const unlink = promisify(fs.unlink)
export const writeFile = promisify(fs.writeFile)

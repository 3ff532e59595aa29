/** The pages of the guide for the first day, in the order in which a reader takes them. */
import { after, before, test } from 'node:test'
import { type Machine, openMachine, runPage } from './harness/guide-pages.ts'

let machine: Machine

before(async () => {
  machine = await openMachine()
})
after(async () => {
  await machine[Symbol.asyncDispose]()
})

test('first-backup.md says what happens', async () => {
  await runPage(machine, 'first-backup.md')
})

test('restore.md says what happens', async () => {
  await runPage(machine, 'restore.md')
})

test('pgbackrest.md says what happens', async () => {
  await runPage(machine, 'pgbackrest.md')
})

test('dumps.md says what happens', async () => {
  await runPage(machine, 'dumps.md')
})

test('dump-restore.md says what happens', async () => {
  await runPage(machine, 'dump-restore.md')
})

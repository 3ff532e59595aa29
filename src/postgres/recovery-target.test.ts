import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTargetTime, parseTarget } from './recovery-target.ts'

function timeUs(text: string, zone?: string): bigint | undefined {
  const target = parseTarget({ type: 'time', text, zone })
  return target.kind === 'time' ? target.atUs : undefined
}

const REFUSED = { kind: 'option-invalid-value' }

test('a time with an offset is an instant, to the microsecond', () => {
  const instantUs = 1777732200000000n
  assert.equal(timeUs('2026-05-02 14:30:00Z'), instantUs)
  assert.equal(timeUs('2026-05-02T16:30:00+02'), instantUs)
  assert.equal(timeUs('2026-05-02 20:00:00+0530'), instantUs)
  assert.equal(timeUs('2026-05-02 20:00:00.000001+05:30'), instantUs + 1n)
  assert.equal(timeUs('2026-05-02 14:30:00.25 UTC'), instantUs + 250000n)
})

test('a stated offset wins over the zone', () => {
  assert.equal(timeUs('2026-05-02 14:30:00Z', 'Asia/Kolkata'), 1777732200000000n)
})

test('a time without offset is read in the zone, and refused without one', () => {
  assert.equal(timeUs('2026-05-02 20:00:00', 'Asia/Kolkata'), 1777732200000000n)
  assert.throws(() => timeUs('2026-05-02 20:00:00'), REFUSED)
})

test('a time that its zone has twice, or not at all, is refused', () => {
  assert.throws(() => timeUs('2026-10-25 02:30:00', 'Europe/Berlin'), REFUSED)
  assert.throws(() => timeUs('2026-03-29 02:30:00', 'Europe/Berlin'), REFUSED)
  assert.equal(timeUs('2026-10-25 02:30:00+02', 'Europe/Berlin'), 1792888200000000n)
})

test('times that do not exist are refused', () => {
  for (const text of [
    '2026-02-30 00:00:00Z',
    '2026-13-01 00:00:00Z',
    '2026-05-02 24:00:00Z',
    '2026-05-02 23:59:60Z',
    '2026-05-02 14:30Z',
    '2026-05-02 14:30:00+17:00',
    '2026-05-02 14:30:00.1234567Z',
    'yesterday',
  ]) {
    assert.throws(() => timeUs(text), REFUSED, text)
  }
})

test('a transaction id is a decimal number', () => {
  assert.deepEqual(parseTarget({ type: 'xid', text: '4711', zone: undefined }), {
    kind: 'xid',
    xid: 4711n,
  })
  assert.deepEqual(parseTarget({ type: 'xid', text: '18446744073709551615', zone: undefined }), {
    kind: 'xid',
    xid: 18446744073709551615n,
  })
  for (const text of ['0', '010', '-1', '4294967296', '18446744073709551616', 'abc', '']) {
    assert.throws(() => parseTarget({ type: 'xid', text, zone: undefined }), REFUSED, text)
  }
})

test('an LSN or hexadecimal given as a transaction id is named in the error', () => {
  assert.throws(() => parseTarget({ type: 'xid', text: '0A/1BCD1234', zone: undefined }), {
    ...REFUSED,
    message: "'0A/1BCD1234' is an LSN, not a transaction id",
  })
  assert.throws(() => parseTarget({ type: 'xid', text: '0x1F', zone: undefined }), {
    ...REFUSED,
    message: "transaction id '0x1F' is hexadecimal",
  })
})

test('an LSN is two hexadecimal halves', () => {
  assert.deepEqual(parseTarget({ type: 'lsn', text: '16/b374d848', zone: undefined }), {
    kind: 'lsn',
    lsn: 0x16_b374_d848n,
  })
  for (const text of ['16', '16/', '/1', '1/2/3', '123456789/0', '1/G']) {
    assert.throws(() => parseTarget({ type: 'lsn', text, zone: undefined }), REFUSED, text)
  }
})

test('a restore point has a name of up to 63 bytes', () => {
  const name = 'é'.repeat(31)
  assert.deepEqual(parseTarget({ type: 'name', text: name, zone: undefined }), {
    kind: 'name',
    name,
  })
  assert.throws(() => parseTarget({ type: 'name', text: `${name}é`, zone: undefined }), REFUSED)
  assert.throws(() => parseTarget({ type: 'name', text: '', zone: undefined }), REFUSED)
})

test('an instant is shown in UTC and in the local zone, both with offset', (t) => {
  const { TZ } = process.env
  t.after(() => {
    if (TZ === undefined) delete process.env['TZ']
    else process.env['TZ'] = TZ
  })
  process.env['TZ'] = 'Asia/Kolkata'

  assert.deepEqual(formatTargetTime(1777732200250000n), {
    utc: '2026-05-02 14:30:00.25+00',
    local: '2026-05-02 20:00:00.25+05:30',
  })
  assert.equal(timeUs('2026-05-02 20:00:00', 'local'), 1777732200000000n)
})

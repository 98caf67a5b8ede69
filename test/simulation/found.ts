/**
 * Found: bugs that the simulation has found in the product, each with its seed and the smallest script that failed.
 * They stay as tests; a bug of the same name plants the fault again.
 * @module
 */
import type { Bug } from './bugs.ts'
import { quietNetwork } from './network.ts'
import type { Script } from './script.ts'

export interface Found {
  readonly what: string
  /** What plants it again; absent: it lay in the core itself. */
  readonly bug?: Bug
  readonly script: Script
}

export const found: readonly Found[] = [
  {
    what: 'a wall clock that is set moves no back-off: the function would stay away for an hour',
    bug: 'wall-clock',
    script: {
      ...{ seed: 32, beatMs: 4_000, network: quietNetwork },
      disturbances: [
        { atMs: 57_352, kind: 'moveClock', choice: 827_952 },
        { atMs: 59_508, kind: 'failInstance', choice: 175_594 },
      ],
    },
  },
  {
    what: 'a leader whose clock is behind that of the one before takes nothing for begun in the future',
    script: {
      ...{ seed: 353, beatMs: 1_000, network: quietNetwork },
      disturbances: [
        { atMs: 8_174, kind: 'moveClock', choice: 190_856 },
        { atMs: 12_625, kind: 'loseSession', choice: 661_201 },
        { atMs: 19_815, kind: 'killScheduler', choice: 2_040 },
        { atMs: 28_789, kind: 'killRunner', choice: 916_758 },
      ],
    },
  },
  {
    what: 'an instance that has left, as only a leader knew that died, does not come back at the epoch at which it left',
    bug: 'comes-back-as-itself',
    script: {
      ...{ seed: 381, beatMs: 1_000, network: { ...quietNetwork, busMs: 3_000 } },
      disturbances: [
        { atMs: 40_613, kind: 'scale', choice: 929_572 },
        { atMs: 41_093, kind: 'stopScheduler', choice: 698_366 },
        { atMs: 41_823, kind: 'scale', choice: 146_878 },
      ],
    },
  },
  {
    what: 'an assignment that was lost is told again to a runner with a canary: its reports are news, and hid that',
    script: {
      ...{
        seed: 114,
        beatMs: 12_000,
        network: { ...quietNetwork, loss: 0.1, busMs: 10, wireMs: 10, storeMs: 4 },
      },
      disturbances: [
        { atMs: 51_086, kind: 'command', choice: 577_311 },
        { atMs: 221_912, kind: 'deployCanary', choice: 23_846 },
      ],
    },
  },
  {
    what: 'a canary of a function without instances is looked at though no heartbeat comes',
    script: {
      ...{ seed: 32, beatMs: 12_000, network: quietNetwork },
      disturbances: [
        { atMs: 80_642, kind: 'scale', choice: 59_818 },
        { atMs: 232_561, kind: 'deployCanary', choice: 635_989 },
      ],
    },
  },
  {
    what: 'a step that describes the streams anew in its middle settles once which instances are wanted, as one that looks at everything',
    script: {
      ...{ seed: 3_880, beatMs: 1_000, network: { ...quietNetwork, busMs: 50, wireMs: 1_000, storeMs: 300 } },
      disturbances: [
        { atMs: 8_768, kind: 'cutAgent', choice: 747_169 },
        { atMs: 12_725, kind: 'loseRunner', choice: 279_976 },
        { atMs: 17_204, kind: 'command', choice: 626_717 },
        { atMs: 18_222, kind: 'deploy', choice: 405_423 },
        { atMs: 20_127, kind: 'deploy', choice: 588_907 },
        { atMs: 24_033, kind: 'command', choice: 259_106 },
        { atMs: 24_529, kind: 'cutAgent', choice: 973_004 },
        { atMs: 24_574, kind: 'loseRunner', choice: 674_584 },
        { atMs: 24_969, kind: 'command', choice: 484_477 },
        { atMs: 25_776, kind: 'deploy', choice: 574_441 },
        { atMs: 26_289, kind: 'command', choice: 443_440 },
        { atMs: 28_176, kind: 'deploy', choice: 115_333 },
      ],
    },
  },
  {
    what: 'a slot that was given up, and lives, is fenced off by whoever takes its shares over: outputs of it may still be on their way',
    bug: 'no-fence',
    script: {
      ...{
        seed: 3_951,
        beatMs: 4_000,
        network: { ...quietNetwork, busMs: 3_000, wireMs: 1_000, storeMs: 300 },
      },
      disturbances: [
        { atMs: 75_291, kind: 'loseRunner', choice: 381_991 },
        { atMs: 101_950, kind: 'scale', choice: 954_565 },
      ],
    },
  },
]

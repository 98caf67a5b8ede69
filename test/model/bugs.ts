/**
 * Bugs: faults to plant into the model, to show that the model would find them, each as what it is.
 * @module
 */
import type { Kind } from '../history/channel.ts'

/** What may be wrong with a history: what the checker finds, that it does not come to rest, that one is refused what it was given. */
export type Fault = Kind | 'restless' | 'refused'

interface Planted {
  readonly what: string
  /** What the history with it suffers from. */
  readonly found: Fault
}

export const bugs = {
  'gives-unaccepted': {
    what: 'the giver answers before its outputs have been accepted downstream',
    found: 'wrong-owner',
  },
  'acknowledges-sent': {
    what: 'an input is acknowledged when its outputs were sent, accepted or not',
    found: 'stuck',
  },
  'outputs-before-announced': {
    what: 'outputs are sent before their inputs were announced',
    found: 'repeat',
  },
  'hears-no-cut': {
    what: 'a producer whose connection was lost takes what it has heard of its owners for all that they have said',
    found: 'repeat',
  },
  'takes-told-for-heard': {
    what: 'an owner whose connection was lost takes what it has told on it for heard',
    found: 'repeat',
  },
  'gives-ahead': {
    what: 'the giver names the records it has accepted, not those it has done',
    found: 'loss',
  },
  'keeps-its-hand': { what: 'the giver goes on with the frames it has in hand', found: 'repeat' },
  'gives-twice': { what: 'the giver answers a later ask as it answered the first', found: 'wrong-owner' },
  'takes-unasked': { what: 'the taker claims without asking', found: 'wrong-owner' },
  'no-fence': { what: 'an owner raises no fence before it claims', found: 'repeat' },
  'fences-own-slot-only': {
    what: 'an owner raises no fence of another slot, whose shares it takes',
    found: 'wrong-owner',
  },
  'forgets-changes': {
    what: 'what has changed since the preparation does not go with the share',
    found: 'state',
  },
  'stores-unheard': {
    what: 'a checkpoint is stored before the server has heard what was touched',
    found: 'loss',
  },
  'forgets-the-awaited': {
    what: 'a taker gives up what it has taken where an assignment does not know of that yet',
    found: 'stuck',
  },
  'refuses-a-later-epoch': {
    what: 'a taker does not read ahead what was stored at an epoch beyond its own',
    found: 'restless',
  },
  'forgets-the-givers-epoch': {
    what: 'a taker takes what its giver has stored beyond the image for that of another owner',
    found: 'refused',
  },
  'takes-what-was-taken-back': {
    what: 'a taker that comes late claims what its giver has taken back and claimed since',
    found: 'refused',
  },
  'tells-nobody': {
    what: 'the giver answers that producers were told who is next, and has told them only that it leaves',
    found: 'repeat',
  },
  'begins-with-what-passed': {
    what: 'the taker goes on where what it has heard begins, not where its giver stopped',
    found: 'loss',
  },
  'hasty-overseer': {
    what: 'a share is promised to a second taker while the first is asking',
    found: 'wrong-owner',
  },
} as const satisfies Record<string, Planted>

export type Bug = keyof typeof bugs

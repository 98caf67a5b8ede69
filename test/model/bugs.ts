/**
 * Bugs: faults to plant into the model, to show that the model would find them.
 * @module
 */
export const bugs = {
  'gives-unaccepted': 'the giver answers before its outputs have been accepted downstream',
  'acknowledges-sent': 'an input is acknowledged when its outputs were sent, accepted or not',
  'outputs-before-announced': 'outputs are sent before their inputs were announced',
  'hears-no-cut':
    'a producer whose connection was lost takes what it has heard of its owners for all that they have said',
  'takes-told-for-heard': 'an owner whose connection was lost takes what it has told on it for heard',
  'gives-ahead': 'the giver names the records it has accepted, not those it has done',
  'keeps-its-hand': 'the giver goes on with the frames it has in hand',
  'gives-twice': 'the giver answers a later ask as it answered the first',
  'takes-unasked': 'the taker claims without asking',
  'no-fence': 'an owner raises no fence before it claims',
  'forgets-changes': 'what has changed since the preparation does not go with the share',
  'stores-unheard': 'a checkpoint is stored before the server has heard what was touched',
  'forgets-the-awaited': 'a taker gives up what it has taken where an assignment does not know of that yet',
  'refuses-a-later-epoch': 'a taker does not read ahead what was stored at an epoch beyond its own',
  'forgets-the-givers-epoch':
    'a taker takes what its giver has stored beyond the image for that of another owner',
  'takes-what-was-taken-back':
    'a taker that comes late claims what its giver has taken back and claimed since',
  'tells-nobody':
    'the giver answers that producers were told who is next, and has told them only that it leaves',
  'begins-with-what-passed': 'the taker goes on where what it has heard begins, not where its giver stopped',
  'hasty-overseer': 'a share is promised to a second taker while the first is asking',
} as const

export type Bug = keyof typeof bugs

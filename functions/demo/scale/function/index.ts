import { defineFunction, groupBy } from 'concord'

/** Waits 2 ms for each order, as if it asked another service, and counts the orders of each customer. */
export default defineFunction({
  metadata: { name: 'desk', istreams: { orders: groupBy }, ostreams: ['receipts'] },

  async processRecord(ctx, record) {
    await new Promise<void>((resolve) => setTimeout(resolve, 2))
    const orders = ctx.counter(record.key).add()
    ctx.produceRecord('receipts', record.key, `${record.text()} ${orders}`)
  },
})

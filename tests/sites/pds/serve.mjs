// A real server of the AT Protocol (PDS) with its directory of names (PLC), on free ports of loopback, until stdin ends.
import { TestNetworkNoAppView } from '@atproto/dev-env'

const network = await TestNetworkNoAppView.create({})
console.log(JSON.stringify({ url: network.pds.url }))
process.stdin.resume()
process.stdin.on('end', async () => {
  await network.close()
  process.exit(0)
})

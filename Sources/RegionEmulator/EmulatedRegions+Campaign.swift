import Foundation
import LatencyStudy

extension EmulatedRegions {
  /// A campaign's file for these regions: every source, every region, one API each in turn.
  ///
  /// - Parameters:
  ///   - address: of the emulator, "127.0.0.1:8100"
  ///   - locals: for each source the address to connect from, where a network delays packets
  ///   - hosts: for each region the host to connect to, where a network delays packets
  public func campaign(
    address: String, days: Double, every: String, locals: [String: String] = [:],
    hosts: [String: String] = [:]
  ) -> String {
    let port = address.split(separator: ":").last.map(String.init) ?? ""
    let apis = Target.API.allCases
    var lines = [
      "# For `wanspec study run`, made by `wanspec study emulate`: all of it happens on this machine.",
      "name: \(name)", "days: \(days)", "every: \(every)", "clock: http://\(address)/clock", "timeout: 20s",
      "prompt: {max-tokens: 16}", "limits: {concurrency: 512}", "regions:",
    ]
    for region in Set(sources + sites.map(\.region)).sorted(by: { $0.name < $1.name }) {
      lines.append(
        "  \(region.name): {latitude: \(region.latitude), longitude: \(region.longitude), time-zone: \(region.timeZone)}"
      )
    }
    lines.append("sources:")
    for source in sources {
      let local = locals[source.name].map { ", local-address: \($0)" } ?? ""
      lines.append("- {region: \(source.name)\(local)}")
    }
    lines.append("targets:")
    for (index, site) in sites.enumerated() {
      let api = apis[index % apis.count]
      let host = hosts[site.region.name].map { "\($0):\(port)" } ?? address
      let base = "http://\(host)/{source}/\(site.region.name)\(api.isBedrock ? "" : "/v1")"
      let auth =
        keys == Keys() ? ", auth: none" : api.isBedrock ? "" : ", key-variable: WANSPEC_EMULATOR_KEY"
      lines.append(
        "- {region: \(site.region.name), api: \(api.rawValue), url: \"\(base)\", model: emulated\(auth), "
          + "price: {input: 0.25, output: 1.25}}")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}

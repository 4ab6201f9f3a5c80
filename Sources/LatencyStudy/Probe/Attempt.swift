import Foundation
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NetworkProblems

/// One connection's life: lookup, connect, request, perhaps another request.
final class Attempt: Sendable {
  private let loop: any EventLoop
  private struct State {
    var channel: (any Channel)?
    var handler: NIOLoopBound<ProbeHandler>?
    var isClosed = false
  }
  private let state = NIOLockedValueBox(State())

  init(loop: any EventLoop) { self.loop = loop }

  /// Ends whatever is under way. A probe that was running ends as reset.
  func close() {
    let channel = state.withLockedValue { state in
      state.isClosed = true
      return state.channel
    }
    channel?.close(promise: nil)
  }

  func run(
    _ order: Prober.Order, _ request: ProbeRequest, record: ProbeRecord, context: NIOSSLContext?,
    lookup: NameLookup
  ) async throws -> ProbeHandler.Finished {
    let started = monotonicNow()
    let deadline = NIODeadline.uptimeNanoseconds(UInt64(started)) + TimeAmount(order.timeout)
    var tracker = AnswerTracker(record, api: order.target.api, phases: Phases(start: started))

    let addresses: [SocketAddress]
    if let literal = NameLookup.literal(order.endpoint.host, port: order.endpoint.port) {
      addresses = [literal]
    } else {
      do {
        addresses = try await lookup.addresses(order.endpoint.host, port: order.endpoint.port, on: loop)
          .timed(by: deadline, on: loop).get()
        tracker.stamp(.dns, at: monotonicNow())
      } catch {
        return failed(tracker, error is TooLate ? .timeout : .dns, NetworkProblem.words(error))
      }
    }

    var lastError = ""
    for address in addresses {
      do {
        return try await connect(address, order, request, tracker, context, deadline: deadline)
      } catch let error as ConnectFailed {
        if error.isTimeout {
          return failed(tracker, .timeout, "no connection to \(address) in \(order.timeout)")
        }
        // Nothing was sent, and nothing is said of the target.
        if error.isOurs { return failed(tracker, .missed, "this machine: \(error.description)") }
        lastError = "\(address): \(error.description)"
      }
    }
    return failed(tracker, .connect, lastError)
  }

  private func failed(_ tracker: AnswerTracker, _ outcome: ProbeOutcome, _ detail: String)
    -> ProbeHandler.Finished
  {
    var tracker = tracker
    tracker.fail(outcome, detail)
    tracker.end(at: monotonicNow())
    return ProbeHandler.Finished(record: tracker.record, retryAfter: nil, isReusable: false)
  }

  private struct ConnectFailed: Error, CustomStringConvertible {
    var isTimeout = false
    var description: String
    /// For want of something on this machine: file descriptors, memory, the local address.
    var isOurs = false

    init(_ error: any Error, isLate: Bool) {
      description = NetworkProblem.words(error)
      if case ChannelError.connectTimeout = error { isTimeout = true } else { isTimeout = isLate }
      if let code = (error as? IOError)?.errnoCode {
        isOurs = [EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL].contains(code)
      }
    }
  }

  /// - Throws: `ConnectFailed` only; what goes wrong later is in the record.
  private func connect(
    _ address: SocketAddress, _ order: Prober.Order, _ request: ProbeRequest, _ tracker: AnswerTracker,
    _ context: NIOSSLContext?, deadline: NIODeadline
  ) async throws -> ProbeHandler.Finished {
    let finished = loop.makePromise(of: ProbeHandler.Finished.self)
    let serverName = NameLookup.literal(order.endpoint.host, port: 1) == nil ? order.endpoint.host : nil
    var bootstrap = ClientBootstrap(group: loop)
      .connectTimeout(max(.nanoseconds(1), deadline - .now()))
      // Small writes leave at once.
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelInitializer { [state, loop] channel in
        loop.makeCompletedFuture {
          let arrivals = ArrivalClock()
          let handler = ProbeHandler(
            request, tracker: tracker, arrivals: arrivals, isSecure: context != nil, finished: finished)
          state.withLockedValue {
            $0.channel = channel
            $0.handler = NIOLoopBound(handler, eventLoop: loop)
          }
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(arrivals)
          if let context {
            try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: serverName))
          }
          try pipeline.addHTTPClientHandlers()
          try pipeline.addHandler(handler)
        }
      }
    do {
      if let local = order.localAddress {
        bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: local, port: 0))
      }
      let channel = try await bootstrap.connect(to: address).get()
      if state.withLockedValue({ $0.isClosed }) { channel.close(promise: nil) }
    } catch {
      finished.succeed(ProbeHandler.Finished(record: tracker.record, retryAfter: nil, isReusable: false))
      throw ConnectFailed(error, isLate: deadline <= .now())
    }
    return try await watched(finished.futureResult, until: deadline, order.timeout)
  }

  func again(
    _ request: ProbeRequest, record: ProbeRecord, api: Target.API, timeout: Duration
  ) async throws -> ProbeHandler.Finished {
    let promise = loop.makePromise(of: ProbeHandler.Finished.self)
    let (channel, handler) = state.withLockedValue { ($0.channel, $0.handler) }
    guard let channel, let handler else { throw CancellationError() }
    let started = NIODeadline.now()
    loop.execute {
      let tracker = AnswerTracker(
        record, api: api, phases: Phases(start: monotonicNow()))
      handler.value.again(request, tracker: tracker, channel: channel, finished: promise)
    }
    return try await watched(promise.futureResult, until: started + TimeAmount(timeout), timeout)
  }

  /// Waits for the end, and makes one when time is up.
  private func watched(
    _ future: EventLoopFuture<ProbeHandler.Finished>, until deadline: NIODeadline, _ timeout: Duration
  ) async throws -> ProbeHandler.Finished {
    let alarm = loop.scheduleTask(deadline: deadline) { [state] in
      let (channel, handler) = state.withLockedValue { ($0.channel, $0.handler) }
      if let channel { handler?.value.abandon(.timeout, "no end after \(timeout)", channel: channel) }
    }
    defer { alarm.cancel() }
    return try await future.get()
  }
}

private struct TooLate: Error, CustomStringConvertible {
  var description: String { "the name lookup took too long" }
}

extension EventLoopFuture where Value: Sendable {
  /// This future's result, or `TooLate`. The work behind it goes on.
  fileprivate func timed(by deadline: NIODeadline, on loop: any EventLoop) -> EventLoopFuture<Value> {
    let promise = loop.makePromise(of: Value.self)
    let alarm = loop.scheduleTask(deadline: deadline) { promise.fail(TooLate()) }
    whenComplete { result in
      alarm.cancel()
      // The first of the two counts: a promise that has its result ignores others.
      promise.completeWith(result)
    }
    return promise.futureResult
  }
}

extension TimeAmount {
  fileprivate init(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    self = .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
  }
}

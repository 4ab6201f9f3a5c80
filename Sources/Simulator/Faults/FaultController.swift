import Collections
import SpeculationCore
import SplitMix

extension FaultRun {
  /// A target pass on its way through the engine.
  struct PassUnderWay {
    var pass: TargetPass
    /// Of its parts, in order.
    var sessions: [Session]
    /// How it will fail; nil when it will not.
    var failure: PassFailure.Kind?
    /// What the engine did for each part; empty when it fails.
    var parts: [CacheLedger.Part] = []
    var duration = Duration.zero

    var guesses: Int { pass.parts.reduce(0) { $0 + $1.set.tokens.count } }
  }

  struct LocalPassUnderWay {
    var tasks: [DraftTask<SessionMachine.NodeID>]
    /// Of the tasks, in order.
    var sessions: [Session]
    var duration = Duration.zero

    /// Each session once, in the order of its first task.
    var members: [Session] {
      var members: [Session] = []
      for session in sessions where !members.contains(where: { $0 === session }) { members.append(session) }
      return members
    }
  }

  /// What the target engine is asked for: done one after the other, in this order.
  enum EngineJob {
    case pass(PassUnderWay)
    case release(SessionID)
  }

  /// A controller: one serving machine for each life of its process, and the engines that it drives.
  final class Controller {
    let index: Int
    let server: FaultPlan.Server
    var machine: ServingMachine
    /// The target's cache.
    var cache: CacheLedger
    var isUp = true
    /// Takes no more requests.
    var isStopping = false
    /// Counts lives of the process: what an earlier one has begun concerns nobody any more.
    var life = 0
    /// Ids count from 1 in every life of the process; the workers' never come twice even so.
    var nextSession: UInt64 = 1
    var nextWorker: UInt64 = 1
    /// Requests that were accepted and are not over, in the order of their acceptance.
    var sessions: [Session] = []
    /// In the order of joining.
    var attached: [Connection] = []
    /// Asked for while it was down.
    var waiting: [Int] = []
    /// What the machine has not been told yet.
    var inbox: Deque<ServingMachine.Event> = []
    var isHandling = false

    var jobs: Deque<EngineJob> = []
    var isEngineBusy = false
    /// From the machine's wish to its answer.
    var pass: PassUnderWay?
    var localPass: LocalPassUnderWay?
    /// Sessions whose cells are to be freed, until the machine knows that they are.
    var releasing: Set<SessionID> = []

    /// Target passes that failed in this life; of those, passes over one session since one was done.
    var failures = 0
    var singleFailures = 0
    /// The cache was full: the next pass that is done has no guesses.
    var expectsNoGuesses = false
    /// Breaches by the name of the worker, and names that were sent away for another reason.
    var breaches: [String: Int] = [:]
    var excluded: Set<String> = []
    var random: SplitMix64

    init(index: Int, plan: FaultPlan, random: SplitMix64) {
      self.index = index
      self.random = random
      server = plan.server(index)
      machine = plan.machine(for: server)
      cache = plan.ledger(for: server)
    }

    /// The process begins anew, knowing nothing.
    func restart(_ plan: FaultPlan) {
      life += 1
      machine = plan.machine(for: server)
      cache = plan.ledger(for: server)
      isStopping = false
      nextSession = 1
      sessions = []
      inbox = []
      jobs = []
      isEngineBusy = false
      pass = nil
      localPass = nil
      releasing = []
      failures = 0
      singleFailures = 0
      expectsNoGuesses = false
      breaches = [:]
      excluded = []
    }

    func session(_ id: SessionID) -> Session? { sessions.first { $0.id == id } }
    var waitingCount: Int { sessions.count { !$0.isRunning } }
    /// What the engine has of a session.
    func held(_ id: SessionID) -> Int { cache.cachedTokens(of: id) + cache.cachedGuesses(of: id) }
  }
}

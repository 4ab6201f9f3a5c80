#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The scheduling priority of a thread that must wake up on time while models keep every core busy.
public enum ThreadPriority: String, Sendable, Codable {
  /// The real-time class: runs before every ordinary thread.
  case realTime = "real-time"
  /// An ordinary thread with a better nice value.
  case raised
  /// As it was; the system permits no more.
  case ordinary

  /// Raises the calling thread as far as the system permits.
  ///
  /// The lowest real-time priority is enough to run before ordinary threads. Linux keeps 5% of the time for
  /// those, so a busy event loop cannot lock the machine up.
  static func raiseCurrentThread() -> ThreadPriority {
    #if os(Linux)
      var parameters = sched_param()
      parameters.sched_priority = sched_get_priority_min(SCHED_RR)
      // On Linux both calls mean the calling thread when given 0.
      if sched_setscheduler(0, SCHED_RR, &parameters) == 0 { return .realTime }
      #if canImport(Glibc)
        let process = __priority_which_t(PRIO_PROCESS.rawValue)
      #else
        let process = PRIO_PROCESS
      #endif
      if setpriority(process, 0, -10) == 0 { return .raised }
      return .ordinary
    #elseif canImport(Darwin)
      var parameters = sched_param()
      parameters.sched_priority = sched_get_priority_max(SCHED_RR)
      if pthread_setschedparam(pthread_self(), SCHED_RR, &parameters) == 0 { return .realTime }
      return pthread_set_qos_class_self_np(QOS_CLASS_USER_INTERACTIVE, 0) == 0 ? .raised : .ordinary
    #else
      return .ordinary
    #endif
  }
}

import Credentials
import DraftExchange

/// The exchange asks, the gate answers: neither knows the other.
public struct ExchangeAuthenticator: WorkerAuthenticator {
  let gate: WorkerGate

  public init(gate: WorkerGate) { self.gate = gate }

  public func authenticate(_ credentials: PresentedCredentials) throws(WorkerRefusal) -> WorkerIdentity {
    do {
      return WorkerIdentity(try gate.admit(certificate: credentials.certificate, token: credentials.token))
    } catch {
      throw WorkerRefusal(error.message)
    }
  }

  public func problem(with identity: WorkerIdentity) -> String? { gate.problem(with: identity.admission) }
}

extension WorkerIdentity {
  init(_ admission: WorkerGate.AdmittedWorker) {
    self.init(
      method: admission.method == .certificate ? .certificate : .token, name: admission.name,
      site: admission.site, fingerprint: admission.fingerprint, expires: admission.expires)
  }

  var admission: WorkerGate.AdmittedWorker {
    WorkerGate.AdmittedWorker(
      method: method == .certificate ? .certificate : .token, name: name, site: site,
      fingerprint: fingerprint,
      expires: expires)
  }
}

#include "nats/jetstream_answer.hpp"

#include "actors/training/planted_bug.hpp"
#include "nats/json.hpp"

#include <nlohmann/json.hpp>

namespace aiops::nats {

namespace {

using outcome = jetstream_outcome;

/// `JSStreamStoreFailedErr`: the description contains the reason.
constexpr int64_t store_failed = 10077;

/// `JSStreamSequenceNotMatchErr`: the leader has not applied its own log and
/// restarts the stream. The message is in the log, so it may still be stored.
constexpr int64_t sequence_mismatch = 10063;

outcome outcome_of(int64_t err_code, int64_t status) {
  if (err_code == 10164 && planted(planted_bug::race_code_is_refusal))
    return outcome::refused;
  switch (err_code) {
    case 10071: // wrong last sequence: 5
      return outcome::conflict;
    case 10007: // cluster not assigned to this server
    case 10008: // JetStream system temporarily unavailable
    case 10009: // cluster can not handle request: no longer the leader
    case 10023: // insufficient resources
    case 10039: // JetStream not enabled for account
    case 10041: // of the replication
    case sequence_mismatch:
    case 10076: // JetStream not enabled
    case store_failed:
    case 10118: // stream is offline
    case 10163: // expected last sequence temporarily unavailable
    case 10164: // another write to the key is not decided yet (from 2.11 on)
    case 10167: // too many requests
    case 10194: // stream is offline, with a reason
      return outcome::try_again;
    case 10002: // resource limits exceeded for account
    case 10027: // maximum number of streams reached
    case 10028: // insufficient memory resources available
    case 10047: // insufficient storage resources available
    case 10122: // stream max bytes exceeds account limit
      return outcome::full;
    case 10054: // message size exceeds maximum allowed
    case 10097: // header size exceeds maximum allowed
      return outcome::too_large;
    case 10109: // invalid operation on sealed stream
    case 10110: // purge failed, as when it is denied
    case 10113: // account requires a stream config to have max bytes set
    case 10120: // no JetStream default or applicable tiered limit present
      return outcome::forbidden;
    case 10059:
      return outcome::no_stream;
    case 10037:
      return outcome::no_message;
    case 10058: // in use with a different configuration
      return outcome::stream_exists;
    case 10005: // no suitable peers for placement
    case 10074: // replicas > 1 not supported in non-clustered mode
      return outcome::too_few_nodes;
    case 10158: // duplicate message id is in process
      return outcome::duplicate;
    default:
      return status == 503 || status == 429   ? outcome::try_again
             : status == 401 || status == 403 ? outcome::forbidden
                                              : outcome::refused;
  }
}

} // namespace

jetstream_verdict judge(const nlohmann::json& answer) {
  if (!answer.is_object())
    return {outcome::unreadable, "unreadable answer from JetStream"};
  auto error = answer.find("error");
  if (error == answer.end())
    return {};
  if (!error->is_object())
    return {outcome::unreadable, dump_json(*error)};
  jetstream_verdict result;
  if (!read_text(*error, "description", result.description)
      || result.description.empty())
    result.description = dump_json(*error);
  auto err_code = integer_at(*error, "err_code");
  result.outcome = outcome_of(err_code, integer_at(*error, "code"));
  result.uncertain = err_code == sequence_mismatch;
  if (err_code == store_failed) {
    // A limit of the stream; any other text is a failure of the disk or of the
    // cluster.
    auto says = [&](auto text) { return result.description.starts_with(text); };
    if (says("maximum "))
      result.outcome = outcome::full;
    else if (says("message to")) // "message to large", until 2.10
      result.outcome = outcome::too_large;
    else
      result.uncertain = !planted(planted_bug::storage_failure_is_certain);
  }
  return result;
}

caf::error to_error(const jetstream_verdict& verdict, std::string_view what) {
  auto text = std::string{what} + " failed: " + verdict.description;
  switch (verdict.outcome) {
    case outcome::conflict:
      return make_error(ec::conflict, std::move(text));
    case outcome::try_again:
      if (verdict.uncertain)
        return make_error(ec::timeout, std::move(text));
      return make_error(ec::overloaded,
                        text + "; the NATS server cannot do it now");
    case outcome::full:
      return make_error(ec::overloaded, text
                                          + "; raise the limits of JetStream "
                                            "or free space");
    case outcome::too_few_nodes:
      return make_error(ec::overloaded,
                        text
                          + "; start as many NATS servers with JetStream in "
                            "one cluster, or lower --nats-replicas");
    case outcome::too_large:
      return make_error(ec::too_large, std::move(text));
    case outcome::unreadable:
      return make_error(ec::bad_reply, std::move(text));
    default:
      return make_error(ec::refused, std::move(text));
  }
}

} // namespace aiops::nats

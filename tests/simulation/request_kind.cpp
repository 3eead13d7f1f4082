#include "tests/simulation/request_kind.hpp"

#include "nats/subjects.hpp"

#include <string>

namespace aiops::simulation {

using namespace nats;

namespace {

using kind = request_kind;

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

bool writes(kind x) {
  return x >= kind::write_book && x < kind::count;
}

bool reads(kind x) {
  return x >= kind::read_book && x <= kind::info;
}

bool of_store(kind x) {
  return x >= kind::read_book;
}

/// Conditional writes.
bool compares(kind x) {
  return x == kind::write_book || x == kind::write_history
         || x == kind::write_lease || x == kind::write_parameters;
}

kind kind_of_write(const std::string& subject) {
  if (has(subject, subjects::book_key))
    return kind::write_book;
  if (has(subject, ".training.history."))
    return kind::write_history;
  if (has(subject, ".lease."))
    return kind::write_lease;
  if (has(subject, subjects::hooks_key))
    return kind::write_cursor;
  if (has(subject, subjects::parameters_key))
    return kind::write_parameters;
  return has(subject, subjects::statistics_key) ? kind::write_mirror
                                                : kind::write_other;
}

} // namespace

std::string_view to_string(request_kind x) {
  constexpr std::string_view names[request_kind_count] = {"train",
                                                          "question",
                                                          "read book",
                                                          "read parameters",
                                                          "read other",
                                                          "stream info",
                                                          "purge",
                                                          "make bucket",
                                                          "write book",
                                                          "write history",
                                                          "write lease",
                                                          "write cursor",
                                                          "write parameters",
                                                          "write mirror",
                                                          "write other"};
  return names[static_cast<size_t>(x)];
}

request_kind kind_of(const bus_request& x) {
  auto& subject = x.subject;
  if (subject == subjects::train_model)
    return kind::train;
  if (subject.starts_with("$KV."))
    return kind_of_write(subject);
  if (has(subject, "STREAM.INFO"))
    return kind::info;
  if (has(subject, "STREAM.PURGE"))
    return kind::purge;
  if (has(subject, "STREAM.CREATE"))
    return kind::make_bucket;
  if (!has(subject, "STREAM.MSG.GET"))
    return kind::question;
  if (has(x.payload, subjects::book_key))
    return kind::read_book;
  return has(x.payload, subjects::parameters_key) ? kind::read_parameters
                                                  : kind::read_other;
}

bool can_meet(fault x, request_kind y) {
  switch (x) {
    case fault::connection_lost:
    case fault::link_blocked:
    case fault::answers_lost:
    case fault::slow_network:
    case fault::replica_crash:
    case fault::replica_pause:
    case fault::actor_death:
    case fault::clock_jump:
      return true;
    case fault::leader_change:
    case fault::slow_store:
    case fault::too_many_requests:
    case fault::unreadable_answer:
    case fault::ack_repeated:
    case fault::store_went_back:
    case fault::bucket_removed:
    case fault::book_removed:
    case fault::book_unreadable:
      return of_store(y);
    case fault::ack_lost:
    case fault::store_full:
    case fault::read_only:
      return writes(y) || y == kind::purge || y == kind::make_bucket;
    case fault::write_late:
    case fault::storage_failure:
      return writes(y);
    case fault::false_conflict:
    case fault::race_conflict:
      return compares(y);
    case fault::stale_read:
      return reads(y);
    case fault::backend_silent:
    case fault::backend_slow:
    case fault::backend_unreadable:
      return y == kind::train || y == kind::question;
    case fault::backend_refuses:
      return y == kind::train;
    case fault::backend_absent:
    case fault::backend_crash:
    case fault::backend_empty:
      return !of_store(y) || y == kind::read_parameters
             || y == kind::write_parameters || y == kind::write_book;
    default:
      return false;
  }
}

fault_pairs all_pairs() {
  fault_pairs result;
  for (size_t i = 0; i < fault_count; ++i)
    for (size_t k = 0; k < request_kind_count; ++k)
      if (can_meet(static_cast<fault>(i), static_cast<kind>(k)))
        result.emplace(static_cast<fault>(i), static_cast<kind>(k));
  return result;
}

} // namespace aiops::simulation

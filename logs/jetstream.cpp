#include "logs/jetstream.hpp"

#include "base/deadlines.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "nats/jetstream_answer.hpp"
#include "nats/json.hpp"
#include "nats/subjects.hpp"

#include <nlohmann/json.hpp>

namespace aiops::logs {

namespace {

using nlohmann::json;

/// The workload that `<stream>.<cluster>.<namespace>.<deployment>` names.
std::optional<workload> workload_of(std::string_view subject,
                                    std::string_view stream) {
  if (!subject.starts_with(stream))
    return std::nullopt;
  subject.remove_prefix(stream.size());
  std::vector<std::string> names;
  while (!subject.empty()) {
    subject.remove_prefix(1); // the dot
    auto token = subject.substr(0, subject.find('.'));
    auto name = nats::subjects::decode_token(token);
    if (!name || !valid_name(*name))
      return std::nullopt;
    names.push_back(std::move(*name));
    subject.remove_prefix(token.size());
  }
  if (names.size() != 3)
    return std::nullopt;
  return workload{std::move(names[0]), std::move(names[1]),
                  std::move(names[2])};
}

/// Maximum pages per count. More are only needed when subjects change faster
/// than they can be read.
constexpr int max_pages = 1'000;

int64_t nanoseconds(milliseconds x) {
  return std::chrono::nanoseconds{x}.count();
}

} // namespace

jetstream_log_source_state::jetstream_log_source_state(
  log_source_actor::pointer self)
  : self_(self) {
  // nop
}

void jetstream_log_source_state::init(bus_actor bus,
                                      jetstream_log_source_config config) {
  bus_ = std::move(bus);
  config_ = std::move(config);
}

log_source_actor::behavior_type jetstream_log_source_state::make_behavior() {
  return {
    [this](count_atom) { return count(); },
  };
}

caf::result<breakdown_ptr> jetstream_log_source_state::count() {
  auto current = std::make_shared<cycle>();
  current->promise = self_->make_response_promise<breakdown_ptr>();
  read_page(current);
  return current->promise;
}

template <class OnReply>
void jetstream_log_source_state::ask(cycle_ptr current, std::string_view verb,
                                     std::string payload, OnReply on_reply) {
  bus_request request{
    nats::subjects::jetstream_api(verb, config_.aggregation.stream),
    std::move(payload),
    {},
    config_.request_timeout,
    verb == "STREAM.INFO"};
  self_
    ->request(bus_, outlast(config_.request_timeout), request_atom_v,
              std::move(request))
    .then(
      [current, on_reply](const bus_reply& reply) mutable {
        on_reply(std::move(current), reply.payload);
      },
      [current](const caf::error& err) mutable {
        current->promise.deliver(
          code_of(err) == ec::no_responders
            ? make_error(ec::disconnected, "this NATS server or account has no "
                                           "JetStream; enable it")
            : err);
      });
}

void jetstream_log_source_state::read_page(cycle_ptr current) {
  auto payload = json{{"subjects_filter", config_.aggregation.stream + ".>"},
                      {"offset", current->offset}}
                   .dump();
  ask(current, "STREAM.INFO", std::move(payload),
      [this](cycle_ptr next, const std::string& reply) {
        handle_page(std::move(next), reply);
      });
}

void jetstream_log_source_state::handle_page(cycle_ptr current,
                                             const std::string& payload) {
  auto answer = nats::parse_json(payload);
  auto verdict = nats::judge(answer);
  if (verdict.outcome == nats::jetstream_outcome::no_stream) {
    create_stream(std::move(current));
    return;
  }
  auto state = answer.find("state");
  auto operation = "counting the stream '" + config_.aggregation.stream + '\'';
  if (verdict.outcome != nats::jetstream_outcome::done) {
    current->promise.deliver(nats::to_error(verdict, operation));
    return;
  }
  if (state == answer.end() || !state->is_object()) {
    current->promise.deliver(make_error(
      ec::bad_reply, operation + " failed: the answer has no state"));
    return;
  }
  std::string created;
  nats::read_text(answer, "created", created);
  if (++current->pages > max_pages) {
    current->promise.deliver(make_error(
      ec::bad_reply, "the subjects of the stream '" + config_.aggregation.stream
                       + "' change faster than they can be read"));
    return;
  }
  auto& last = current->last;
  if (!last.empty() && created != current->stream_created) {
    auto fresh = std::make_shared<cycle>();
    fresh->pages = current->pages;
    fresh->promise = current->promise;
    return read_page(std::move(fresh));
  }
  current->stream_created = std::move(created);
  // An empty stream has no list of subjects. Both the NATS server and this
  // parser sort by bytes.
  auto& subjects = (*state)["subjects"];
  if (!subjects.is_object())
    subjects = json::object();
  auto gap = current->offset > 0
             && (subjects.empty() || subjects.begin().key() > last);
  if (gap) {
    current->offset = std::max<int64_t>(0,
                                        current->offset - current->step_back);
    current->step_back *= 8;
    return read_page(std::move(current));
  }
  current->step_back = 1;
  for (auto& [subject, count] : subjects.items()) {
    if (subject <= last)
      continue;
    auto id = workload_of(subject, config_.aggregation.stream);
    if (id && count.is_number_integer())
      current->builder.add(*id, count.get<int64_t>());
    else
      ++current->foreign;
  }
  auto end = current->offset + nats::integer_at(answer, "limit");
  if (subjects.empty() || end >= nats::integer_at(answer, "total"))
    return finish(*current);
  last = std::max(last, std::prev(subjects.end()).key());
  current->offset = end - 1;
  read_page(std::move(current));
}

void jetstream_log_source_state::finish(cycle& current) {
  auto foreign = current.foreign;
  if (foreign > 0 && foreign != foreign_subjects_)
    log::warning("jetstream-log-source",
                 "ignores subjects that do not name a workload",
                 {{"stream", config_.aggregation.stream}, {"count", foreign}});
  foreign_subjects_ = foreign;
  current.promise.deliver(current.builder.finish());
}

void jetstream_log_source_state::create_stream(cycle_ptr current) {
  auto& limits = config_.aggregation;
  auto payload = json{{"name", limits.stream},
                      {"subjects", {limits.stream + ".>"}},
                      {"retention", "limits"},
                      {"storage", "file"},
                      {"discard", "old"},
                      {"max_consumers", -1},
                      {"max_msgs", -1},
                      {"max_msg_size", -1},
                      {"max_age", nanoseconds(limits.stream_max_age)},
                      {"max_bytes", limits.stream_max_bytes},
                      {"num_replicas", config_.replicas}}
                   .dump();
  ask(std::move(current), "STREAM.CREATE", std::move(payload),
      [this](cycle_ptr next, const std::string& reply) {
        auto verdict = nats::judge(nats::parse_json(reply));
        if (verdict.outcome == nats::jetstream_outcome::done) {
          log::info("jetstream-log-source",
                    "created the stream of log messages",
                    {{"stream", config_.aggregation.stream}});
          // Empty, even if a stream that was deleted was partly counted.
          next->promise.deliver(breakdown_builder{}.finish());
        } else if (verdict.outcome == nats::jetstream_outcome::stream_exists) {
          // Another replica created it first.
          read_page(std::move(next));
        } else {
          next->promise.deliver(
            nats::to_error(verdict, "creating the stream '"
                                      + config_.aggregation.stream + '\''));
        }
      });
}

log_source_actor::behavior_type jetstream_log_source(
  log_source_actor::stateful_pointer<jetstream_log_source_state> self,
  bus_actor bus, jetstream_log_source_config config) {
  self->state.init(std::move(bus), std::move(config));
  return self->state.make_behavior();
}

} // namespace aiops::logs

#include "tests/simulation/jetstream_model.hpp"

#include "base/time.hpp"
#include "nats/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace aiops::simulation {

using namespace nats;

namespace {

using nlohmann::json;

constexpr std::string_view api_prefix = "$JS.API.";
constexpr std::string_view kv_prefix = "$KV.";

std::string base64(std::string_view bytes) {
  static constexpr char digits[]
    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string result;
  result.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    auto byte = [&](size_t k) -> uint32_t {
      return i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k])
                                  : 0u;
    };
    auto group = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (size_t k = 0; k < 4; ++k)
      result += i + k > bytes.size() ? '=' : digits[group >> (18 - 6 * k) & 63];
  }
  return result;
}

std::string failure(int code, int err_code, std::string description) {
  return dump_json({{"error",
                     {{"code", code},
                      {"err_code", err_code},
                      {"description", std::move(description)}}}});
}

std::string no_stream() {
  return failure(404, 10059, "stream not found");
}

/// Whether a filter with `*` and `>` matches a subject.
bool matches(std::string_view filter, std::string_view subject) {
  while (!filter.empty()) {
    auto token = filter.substr(0, filter.find('.'));
    if (token == ">")
      return !subject.empty();
    auto other = subject.substr(0, subject.find('.'));
    if (subject.empty() || (token != "*" && token != other))
      return false;
    filter.remove_prefix(std::min(token.size() + 1, filter.size()));
    subject.remove_prefix(std::min(other.size() + 1, subject.size()));
  }
  return subject.empty();
}

std::string key_of(const std::string& subject, const std::string& prefix) {
  return subject.substr(prefix.size());
}

std::string bucket_of(const std::string& stream) {
  return stream.starts_with("KV_") ? stream.substr(3) : stream;
}

std::string encode_headers(const bus_headers& headers) {
  std::string result;
  for (auto& [name, value] : headers)
    if (name.starts_with("KV-") || name == "Nats-Msg-Id")
      result += name + ": " + value + "\r\n";
  return result.empty() ? result : "NATS/1.0\r\n" + result + "\r\n";
}

bool is_removal(const std::string& headers) {
  return headers.find("KV-Operation:") != std::string::npos;
}

std::optional<std::string> header(const bus_request& request,
                                  std::string_view name) {
  for (auto& [key, value] : request.headers)
    if (key == name)
      return value;
  return std::nullopt;
}

} // namespace

jetstream_model::jetstream_model(timeline& time, faults& what)
  : time_(time), faults_(what), random_(what.random(fault::slow_store)) {
  // nop
}

bool jetstream_model::listens(const std::string& subject) const {
  if (subject.starts_with(api_prefix))
    return true;
  return std::any_of(streams_.begin(), streams_.end(), [&](auto& entry) {
    return subject.starts_with(entry.second.prefix);
  });
}

std::chrono::system_clock::time_point jetstream_model::wall_clock() const {
  using std::chrono::system_clock;
  return system_clock::time_point{seconds{1'800'000'000}}
         + std::chrono::duration_cast<system_clock::duration>(
           time_.now().time_since_epoch());
}

caf::timespan jetstream_model::work_time() {
  if (time_.now() < slow_until_)
    return random_.between<milliseconds>(milliseconds{100}, seconds{3});
  return random_.between<microseconds>(microseconds{50}, milliseconds{2});
}

void jetstream_model::request(const bus_request& what, answer_handler answer) {
  auto& subject = what.subject;
  if (!subject.starts_with(api_prefix)) {
    publish(what, answer);
    return;
  }
  auto rest = subject.substr(api_prefix.size());
  auto dot = rest.rfind('.');
  api(rest.substr(0, dot), rest.substr(dot + 1), what, answer);
}

std::optional<std::string> jetstream_model::obstacle(request_kind kind) {
  if (time_.now() < leaderless_until_) {
    // The old leader knows no other leader yet; the other nodes report this.
    switch (random_.below(4)) {
      case 0:
        return failure(503, 10008, "JetStream system temporarily unavailable");
      case 1:
        return failure(500, 10009, "JetStream cluster can not handle request");
      case 2:
        return failure(503, 10118, "stream is offline");
      default:
        return std::string{};
    }
  }
  if (faults_.happens(fault::too_many_requests, kind))
    return failure(429, 10167, "too many requests");
  return std::nullopt;
}

// -- the API ------------------------------------------------------------------

void jetstream_model::api(const std::string& verb, const std::string& name,
                          const bus_request& what,
                          const answer_handler& answer) {
  auto kind = kind_of(what);
  time_.after(work_time(), [=, this] {
    auto writes = verb == "STREAM.PURGE" || verb == "STREAM.CREATE";
    auto text = std::string{};
    if (auto problem = obstacle(kind)) {
      if (problem->empty())
        return;
      text = std::move(*problem);
    } else if (writes && time_.now() < read_only_until_) {
      text = failure(500, 10110, "JetStream purge failed: read-only");
    } else {
      text = carry_out(verb, name, what);
    }
    if (faults_.happens(fault::unreadable_answer, kind))
      text = random_.chance(0.5) ? "" : "{\"type\":";
    if (writes && faults_.happens(fault::ack_lost, kind))
      return;
    answer(text);
    if (faults_.happens(fault::ack_repeated, kind))
      answer(text);
  });
}

std::string jetstream_model::carry_out(const std::string& verb,
                                       const std::string& name,
                                       const bus_request& what) {
  auto& payload = what.payload;
  auto i = streams_.find(name);
  if (verb == "STREAM.CREATE")
    return create(name, payload);
  // An old leader answers reads from its old state.
  auto when = time_.now();
  auto reads = verb == "STREAM.MSG.GET" || verb == "STREAM.INFO";
  if (reads && faults_.happens(fault::stale_read, kind_of(what)))
    when -= faults_.random(fault::stale_read)
              .between<milliseconds>(milliseconds{1}, seconds{4});
  if (i == streams_.end() || when < i->second.made)
    return no_stream();
  if (verb == "STREAM.INFO")
    return info(i->second, payload, when);
  if (verb == "STREAM.MSG.GET")
    return get(i->second, payload, when);
  if (verb == "STREAM.PURGE")
    return purge(i->second, name, payload);
  return failure(400, 10025, "bad request");
}

std::string jetstream_model::create(const std::string& name,
                                    const std::string& payload) {
  auto i = streams_.find(name);
  if (i != streams_.end())
    return i->second.config == payload
             ? dump_json({{"config", parse_json(payload)}})
             : failure(400, 10058,
                       "stream name already in use with a different "
                       "configuration");
  stream next;
  next.config = payload;
  next.prefix = std::string{kv_prefix} + bucket_of(name) + '.';
  next.made = time_.now();
  streams_.emplace(name, std::move(next));
  return dump_json({{"config", parse_json(payload)}, {"did_create", true}});
}

const jetstream_model::version*
jetstream_model::version_at(const stream& x, const std::string& subject,
                            time_point when) {
  auto i = x.subjects.find(subject);
  if (i == x.subjects.end())
    return nullptr;
  auto& versions = i->second;
  auto last = std::find_if(versions.rbegin(), versions.rend(),
                           [&](auto& v) { return v.applied <= when; });
  return last != versions.rend() && last->present ? &*last : nullptr;
}

std::string jetstream_model::info(const stream& x, const std::string& payload,
                                  time_point when) const {
  uint64_t last = 0;
  for (auto& [applied, sequence] : x.last)
    if (applied <= when)
      last = sequence;
  uint64_t messages = 0;
  auto filter = std::string{};
  if (!payload.empty())
    read_text(parse_json(payload), "subjects_filter", filter);
  auto listed = json::object();
  for (auto& [subject, versions] : x.subjects)
    if (version_at(x, subject, when)) {
      ++messages;
      if (!filter.empty() && matches(filter, subject))
        listed[subject] = 1;
    }
  json state{{"messages", messages}, {"last_seq", last}};
  if (!listed.empty())
    state["subjects"] = std::move(listed);
  return dump_json(
    {{"config", parse_json(x.config)}, {"state", std::move(state)}});
}

std::string jetstream_model::get(const stream& x, const std::string& payload,
                                 time_point when) const {
  auto subject = std::string{};
  read_text(parse_json(payload), "last_by_subj", subject);
  auto found = version_at(x, subject, when);
  if (!found)
    return failure(404, 10037, "no message found");
  json message{{"subject", subject},
               {"seq", found->sequence},
               {"data", base64(found->value)},
               {"time", to_rfc3339(found->created)}};
  if (!found->headers.empty())
    message["hdrs"] = base64(found->headers);
  return dump_json({{"message", std::move(message)}});
}

std::string jetstream_model::purge(stream& x, const std::string& name,
                                   const std::string& payload) {
  auto request = parse_json(payload);
  auto filter = std::string{};
  read_text(request, "filter", filter);
  auto before = static_cast<uint64_t>(integer_at(request, "seq"));
  uint64_t purged = 0;
  for (auto& [subject, versions] : x.subjects) {
    auto& last = versions.back();
    if (!last.present || (!filter.empty() && !matches(filter, subject))
        || (before != 0 && last.sequence >= before))
      continue;
    ++purged;
    version gone;
    gone.applied = time_.now();
    gone.present = false;
    versions.push_back(gone);
    if (on_change)
      on_change({bucket_of(name), key_of(subject, x.prefix), std::nullopt, 0});
  }
  return dump_json({{"success", true}, {"purged", purged}});
}

// -- writes -------------------------------------------------------------------

jetstream_model::stream*
jetstream_model::stream_of_subject(const std::string& subject,
                                   std::string& name) {
  for (auto& [key, x] : streams_)
    if (subject.starts_with(x.prefix)) {
      name = key;
      return &x;
    }
  return nullptr;
}

void jetstream_model::publish(const bus_request& what,
                              const answer_handler& answer) {
  auto kind = kind_of(what);
  auto carry = [=, this] {
    auto text = store(what);
    if (text.empty() || faults_.happens(fault::ack_lost, kind))
      return;
    if (faults_.happens(fault::unreadable_answer, kind))
      text = "no json";
    answer(text);
    if (faults_.happens(fault::ack_repeated, kind))
      answer(text);
  };
  auto wait = work_time();
  if (faults_.happens(fault::write_late, kind))
    wait += faults_.random(fault::write_late)
              .between<milliseconds>(milliseconds{200}, seconds{8});
  time_.after(wait, carry);
}

std::string jetstream_model::store(const bus_request& what) {
  auto name = std::string{};
  auto x = stream_of_subject(what.subject, name);
  // The stream was removed meanwhile, so there is no responder.
  if (!x)
    return {};
  if (auto problem = obstacle(kind_of(what)))
    return *problem;
  auto now = time_.now();
  if (now < full_until_)
    return random_.chance(0.5)
             ? failure(500, 10047, "insufficient storage resources available")
             : failure(503, 10077, "maximum bytes exceeded");
  if (now < read_only_until_)
    return failure(503, 10077, "write failed: read-only file system");
  if (static_cast<int64_t>(what.payload.size()) > max_payload)
    return failure(400, 10054, "message size exceeds maximum allowed");
  auto failed = faults_.happens(fault::storage_failure, kind_of(what));
  auto fails_before = failed && random_.chance(0.5);
  if (fails_before)
    return failure(503, 10077, "write failed: input/output error");
  auto i = x->subjects.find(what.subject);
  auto last = i != x->subjects.end() && i->second.back().present
                ? i->second.back().sequence
                : 0;
  if (auto expected = header(what, "Nats-Expected-Last-Subject-Sequence")) {
    auto wrong = *expected != std::to_string(last)
                 || faults_.happens(fault::false_conflict, kind_of(what));
    if (wrong && faults_.happens(fault::race_conflict, kind_of(what)))
      return failure(400, 10164, "wrong last sequence");
    if (wrong)
      return failure(400, 10071,
                     "wrong last sequence: " + std::to_string(last));
  }
  version next;
  next.sequence = x->last_sequence() + 1;
  next.value = what.payload;
  next.headers = encode_headers(what.headers);
  apply(*x, name, what.subject, std::move(next));
  auto sequence = x->last_sequence();
  if (failed)
    return failure(503, 10077, "write failed: input/output error");
  return dump_json({{"stream", name}, {"seq", sequence}});
}

void jetstream_model::apply(stream& x, const std::string& name,
                            const std::string& subject, version next) {
  next.applied = time_.now();
  next.created = wall_clock();
  x.last.emplace_back(next.applied, next.sequence);
  auto& versions = x.subjects[subject];
  versions.push_back(std::move(next));
  auto& now = versions.back();
  if (!on_change)
    return;
  change report{bucket_of(name), key_of(subject, x.prefix), std::nullopt,
                now.sequence};
  if (!is_removal(now.headers))
    report.value = now.value;
  on_change(report);
}

// -- for the backend, clients and the checker ---------------------------------

std::optional<kv_entry> jetstream_model::find(const std::string& bucket,
                                              const std::string& key) const {
  auto i = streams_.find("KV_" + bucket);
  if (i == streams_.end())
    return std::nullopt;
  auto found = version_at(i->second, i->second.prefix + key, time_.now());
  if (!found || is_removal(found->headers))
    return std::nullopt;
  return kv_entry{found->value, found->sequence, found->created, key};
}

uint64_t jetstream_model::last_revision(const std::string& bucket) const {
  auto i = streams_.find("KV_" + bucket);
  return i != streams_.end() ? i->second.last_sequence() : 0;
}

void jetstream_model::overwrite(const std::string& bucket,
                                const std::string& key,
                                std::optional<std::string> value) {
  auto i = streams_.find("KV_" + bucket);
  if (i == streams_.end())
    return;
  version next;
  next.sequence = i->second.last_sequence() + 1;
  if (value)
    next.value = std::move(*value);
  else
    next.headers = "NATS/1.0\r\nKV-Operation: DEL\r\n\r\n";
  apply(i->second, i->first, i->second.prefix + key, std::move(next));
}

// -- faults -------------------------------------------------------------------

void jetstream_model::go_back(caf::timespan by) {
  auto since = time_.now() - by;
  std::erase_if(streams_, [&](auto& x) { return x.second.made > since; });
  for (auto& [name, x] : streams_) {
    std::erase_if(x.last, [&](auto& entry) { return entry.first > since; });
    for (auto& [subject, versions] : x.subjects)
      std::erase_if(versions, [&](auto& v) { return v.applied > since; });
    std::erase_if(x.subjects, [](auto& entry) { return entry.second.empty(); });
  }
  if (on_went_back)
    on_went_back(since);
}

void jetstream_model::remove_bucket(const std::string& bucket) {
  if (streams_.erase("KV_" + bucket) > 0 && on_bucket_removed)
    on_bucket_removed(bucket);
}

void jetstream_model::lose_leader(caf::timespan length) {
  leaderless_until_ = time_.now() + length;
}

void jetstream_model::set_full(caf::timespan length) {
  full_until_ = time_.now() + length;
}

void jetstream_model::set_read_only(caf::timespan length) {
  read_only_until_ = time_.now() + length;
}

void jetstream_model::set_slow(caf::timespan length) {
  slow_until_ = time_.now() + length;
}

void jetstream_model::heal() {
  leaderless_until_ = full_until_ = read_only_until_ = slow_until_ = {};
}

} // namespace aiops::simulation

#include "nats/durability.hpp"

#include "base/deadlines.hpp"
#include "nats/json.hpp"
#include "nats/subjects.hpp"

#include <nlohmann/json.hpp>

#include <charconv>

namespace aiops::nats {

namespace {

/// The first version with `sync_interval`. A server does not start with an
/// option that it does not know.
constexpr server_version first_to_sync_always{2, 10};

std::string replicated_words(int64_t replicas) {
  std::string result
    = "the acknowledged writes since the last sync (two minutes by default), "
      "or all writes, unless the servers have 'sync_interval: always', which "
      "the gateway cannot read";
  if (replicas > 1)
    result += "; only when several of the " + std::to_string(replicas)
              + " replicas fail together, and rarely when one does";
  return result + "; see docs/operations.md";
}

} // namespace

server_version parse_server_version(std::string_view text) {
  server_version result;
  auto start = text.find(": v");
  if (start == std::string_view::npos)
    return {};
  auto end = text.data() + text.size();
  auto major = std::from_chars(text.data() + start + 3, end, result.major);
  if (major.ec != std::errc{} || major.ptr == end || *major.ptr != '.')
    return {};
  auto minor = std::from_chars(major.ptr + 1, end, result.minor);
  return minor.ec == std::errc{} ? result : server_version{};
}

bool can_sync_always(server_version version) {
  return version >= first_to_sync_always;
}

durability_report embedded_durability(server_version version) {
  durability_report result;
  result.synced = can_sync_always(version);
  result.replicas = 1;
  if (*result.synced)
    result.power_failure = "nothing that was acknowledged: each write is "
                           "synced to disk before";
  else
    result.power_failure
      = "the acknowledged writes since the last sync (up to two minutes), or "
        "all writes: nats-server 2.10 or later syncs each write; see "
        "docs/operations.md";
  return result;
}

durability_report bucket_durability(std::string_view stream_info) {
  durability_report result;
  auto answer = parse_json(stream_info);
  auto config = answer.find("config");
  if (config == answer.end() || !config->is_object())
    return result;
  auto replicas = integer_at(*config, "num_replicas");
  if (replicas < 1)
    return result;
  result.replicas = replicas;
  result.power_failure = replicated_words(replicas);
  return result;
}

durability_report ask_durability(caf::actor_system& system,
                                 const bus_actor& bus, caf::timespan timeout) {
  durability_report result;
  if (!bus)
    return result;
  bus_request request;
  request.subject = subjects::jetstream_api(
    "STREAM.INFO", subjects::kv_stream(subjects::gateway_bucket));
  request.timeout = timeout;
  request.read_only = true;
  caf::scoped_actor self{system};
  // The bus has its own deadline; this one only applies if the bus has ended.
  self->request(bus, outlast(timeout), request_atom_v, std::move(request))
    .receive(
      [&](const bus_reply& reply) {
        result = bucket_durability(reply.payload);
      },
      [](const caf::error&) { /* It stays unknown. */ });
  return result;
}

} // namespace aiops::nats

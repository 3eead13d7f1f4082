#include "nats/training/progress_json.hpp"

#include "nats/json.hpp"
#include "json/progress.hpp"

#include <nlohmann/json.hpp>

namespace aiops::nats {

namespace {

using nlohmann::json;

int grpc_code(ec code) {
  switch (code) {
    case ec::invalid_argument:
      return 3;
    case ec::timeout:
      return 4;
    case ec::not_found:
      return 5;
    case ec::too_large:
      return 8;
    case ec::conflict:
      return 10;
    case ec::no_responders:
    case ec::disconnected:
    case ec::overloaded:
      return 14;
    default:
      return 13;
  }
}

} // namespace

caf::expected<job_progress> decode_progress(std::string_view text) {
  return read_progress(text, progress_form::either, "the message");
}

std::string encode_outcome(const caf::error& err) {
  if (!err)
    return "{}";
  return dump_json({{"code", grpc_code(code_of(err))},
                    {"message", text_of(err)},
                    {"details", json::array()}});
}

} // namespace aiops::nats

#include "nats/training/progress_json.hpp"

#include "base/grpc_code.hpp"
#include "nats/json.hpp"
#include "json/progress.hpp"

#include <nlohmann/json.hpp>

namespace aiops::nats {

namespace {

using nlohmann::json;

} // namespace

caf::expected<job_progress> decode_progress(std::string_view text) {
  return read_progress(text, progress_form::either, "the message");
}

std::string encode_outcome(const caf::error& err) {
  if (!err)
    return "{}";
  return dump_json({{"code", grpc_code_of(code_of(err))},
                    {"message", text_of(err)},
                    {"details", json::array()}});
}

} // namespace aiops::nats

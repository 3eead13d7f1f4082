#include "http/error_response.hpp"

#include "base/grpc_code.hpp"
#include "http/compat/json.hpp"
#include "http/server/response_head.hpp"
#include "http/v1/v1_json.hpp"

#include <array>

namespace aiops::http {

namespace {

constexpr size_t ec_count = static_cast<size_t>(ec::ec_count);

// In the order of the codes.
constexpr std::array<error_row, ec_count> table = {{
  {ec::none, 500, false},
  {ec::invalid_argument, 400, true},
  {ec::not_found, 404, true},
  {ec::too_large, 413, true},
  {ec::conflict, 409, true},
  {ec::no_responders, 503, true},
  {ec::disconnected, 503, true},
  {ec::lost_in_flight, 503, true},
  {ec::overloaded, 503, true},
  {ec::timeout, 504, true},
  {ec::bad_reply, 502, true},
  {ec::refused, 502, true},
  {ec::invalid_configuration, 500, false},
  {ec::internal, 500, false},
}};

constexpr bool in_order() {
  for (size_t i = 0; i < table.size(); ++i)
    if (table[i].code != static_cast<ec>(i))
      return false;
  return true;
}

static_assert(in_order(), "the rows are in the order of the codes");

} // namespace

dialect dialect_of(std::string_view path) {
  return path.starts_with("/api/") ? dialect::problem : dialect::compat;
}

const error_row& error_row_of(ec code) {
  auto index = static_cast<size_t>(code);
  return index < table.size() ? table[index] : table.back();
}

int grpc_code_of(int status) {
  // No error code has these.
  if (status == 405 || status == 501 || status == 505)
    return 12; // UNIMPLEMENTED
  for (auto& row : table)
    if (row.status == status)
      return grpc_code_of(row.code);
  return grpc_code_of(ec::invalid_argument);
}

http_response error_response(dialect how, const caf::error& err) {
  auto& row = error_row_of(code_of(err));
  auto text = text_of(err);
  auto result = error_response(how, row.status,
                               row.text_is_public ? std::string_view{text}
                                                  : "internal error");
  result.detail = to_string(code_of(err));
  result.detail += ": " + text;
  return result;
}

http_response error_response(dialect how, int status, std::string_view text) {
  http_response result;
  result.status = status;
  if (how == dialect::compat) {
    result.body = error_json(grpc_code_of(status), text);
  } else {
    result.body = problem_json(status, reason_phrase(status), text);
    result.content_type = problem_type;
  }
  return result;
}

} // namespace aiops::http

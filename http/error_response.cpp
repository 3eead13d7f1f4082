#include "http/error_response.hpp"

#include "http/compat/json.hpp"
#include "http/v1/v1_json.hpp"

#include <array>

namespace aiops::http {

namespace {

constexpr size_t ec_count = static_cast<size_t>(ec::ec_count);

// In the order of the codes.
constexpr std::array<error_row, ec_count> table = {{
  {ec::none, 500, 13, false},
  {ec::invalid_argument, 400, 3, true},
  {ec::not_found, 404, 5, true},
  {ec::too_large, 413, 8, true},
  {ec::conflict, 409, 10, true},
  {ec::no_responders, 503, 14, true},
  {ec::disconnected, 503, 14, true},
  {ec::overloaded, 503, 14, true},
  {ec::timeout, 504, 4, true},
  {ec::bad_reply, 502, 13, true},
  {ec::refused, 502, 13, true},
  {ec::invalid_configuration, 500, 13, false},
  {ec::internal, 500, 13, false},
}};

constexpr bool in_order() {
  for (size_t i = 0; i < table.size(); ++i)
    if (table[i].code != static_cast<ec>(i))
      return false;
  return true;
}

static_assert(in_order(), "a row stands at its code's place");

} // namespace

dialect dialect_of(std::string_view path) {
  return path.starts_with("/api/") ? dialect::problem : dialect::compat;
}

const error_row& error_row_of(ec code) {
  auto index = static_cast<size_t>(code);
  return index < table.size() ? table[index] : table.back();
}

http_response error_response(dialect how, const caf::error& err) {
  auto& row = error_row_of(code_of(err));
  auto text = text_of(err);
  auto result = error_response(how, row.status, row.grpc,
                               row.text_is_public ? std::string_view{text}
                                                  : "internal error");
  result.detail = to_string(code_of(err));
  result.detail += ": " + text;
  return result;
}

http_response error_response(dialect how, int status, int grpc,
                             std::string_view text) {
  http_response result;
  result.status = status;
  if (how == dialect::compat) {
    result.body = error_json(grpc, text);
  } else {
    result.body = problem_json(status, reason_phrase(status), text);
    result.content_type = problem_type;
  }
  return result;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return status < 400 ? "OK" : "Error";
  }
}

} // namespace aiops::http

#include "http/server/response_head.hpp"

namespace aiops::http {

namespace {

void append_header(std::string& out, std::string_view name,
                   std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

/// Whether answers with this status have neither a body nor a length.
bool is_bodiless(int status) {
  return status == 204 || status == 304;
}

} // namespace

void append_head(std::string& out, const http_response& answer,
                 std::string_view request_id,
                 std::optional<std::chrono::seconds> keep_alive) {
  out += "HTTP/1.1 " + std::to_string(answer.status) + " ";
  out += reason_phrase(answer.status);
  out += "\r\n";
  if (keep_alive)
    append_header(out, "Keep-Alive",
                  "timeout=" + std::to_string(keep_alive->count()));
  else
    append_header(out, "Connection", "close");
  if (answer.slot || !answer.body.empty())
    append_header(out, "Content-Type", answer.content_type);
  if (!answer.slot && !is_bodiless(answer.status))
    append_header(out, "Content-Length", std::to_string(answer.body.size()));
  if (!answer.allow.empty())
    append_header(out, "Allow", answer.allow);
  if (is_transient(answer.status))
    append_header(out, "Retry-After", "1");
  for (auto& [name, value] : answer.headers)
    append_header(out, name, value);
  append_header(out, "X-Request-Id", request_id);
  out += "\r\n";
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
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

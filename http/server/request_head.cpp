#include "http/server/request_head.hpp"

#include "http/server/header_text.hpp"

#include <algorithm>
#include <array>

namespace aiops::http {

namespace {

using namespace std::literals;

constexpr size_t max_headers = 100;

bool is_alnum(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
         || (c >= 'A' && c <= 'Z');
}

bool is_token(std::string_view text) {
  auto ok = [](unsigned char c) {
    return is_alnum(c) || "!#$%&'*+-.^_`|~"sv.find(c) != std::string_view::npos;
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), ok);
}

bool is_target(std::string_view text) {
  // Bytes above ASCII should be percent-encoded, but some clients send them.
  auto ok = [](unsigned char c) { return c > 0x20 && c != 0x7f && c != '#'; };
  return text.starts_with('/') && std::all_of(text.begin(), text.end(), ok);
}

/// The target without scheme and host, which proxies may send.
std::string_view origin_form(std::string_view target) {
  if (equal_ignoring_case(target.substr(0, 7), "http://"))
    target.remove_prefix(std::min(target.find('/', 7), target.size()));
  return target;
}

bool is_field_value(std::string_view text) {
  auto ok = [](unsigned char c) {
    return (c >= 0x20 && c != 0x7f) || c == '\t';
  };
  return std::all_of(text.begin(), text.end(), ok);
}

bool is_request_id(std::string_view text) {
  auto ok = [](unsigned char c) {
    return is_alnum(c) || c == '.' || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= 64
         && std::all_of(text.begin(), text.end(), ok);
}

/// Appends the value of a header to those of earlier headers of the same name.
void join(std::string& list, std::string_view value) {
  if (!list.empty())
    list += ", ";
  list += value;
}

/// Whether a comma-separated list has the element.
bool list_has(std::string_view list, std::string_view element) {
  for (;;) {
    auto comma = list.find(',');
    if (equal_ignoring_case(trim(list.substr(0, comma)), element))
      return true;
    if (comma == std::string_view::npos)
      return false;
    list.remove_prefix(comma + 1);
  }
}

/// Methods that are answered by a route or by 405; others are answered by 501.
constexpr std::array known_methods = {"GET"sv,     "HEAD"sv,    "POST"sv,
                                      "PUT"sv,     "DELETE"sv,  "PATCH"sv,
                                      "CONNECT"sv, "OPTIONS"sv, "TRACE"sv};

/// Parses a head line by line.
class head_parser {
public:
  head_parser(std::string_view head, size_t max_body)
    : rest_(head), max_body_(max_body) {
    head_.size = head.size();
  }

  std::variant<request_head, refusal> parse() {
    auto line = next_line();
    if (line && read_request_line(*line)) {
      for (line = next_line(); line && !line->empty(); line = next_line())
        if (!read_field(*line))
          break;
    }
    if (!refused_)
      check();
    if (refused_) {
      refused_->target = std::move(head_.target);
      return std::move(*refused_);
    }
    return std::move(head_);
  }

private:
  bool refuse(int status, std::string text) {
    if (!refused_)
      refused_ = refusal{status, std::move(text), {}};
    return false;
  }

  bool malformed(std::string text) {
    return refuse(400, std::move(text));
  }

  std::optional<std::string_view> next_line() {
    auto end = rest_.find('\n');
    if (end == std::string_view::npos || end == 0 || rest_[end - 1] != '\r') {
      malformed("a line of the request head does not end with CR LF");
      return std::nullopt;
    }
    auto line = rest_.substr(0, end - 1);
    rest_.remove_prefix(end + 1);
    return line;
  }

  bool read_request_line(std::string_view line) {
    auto first = line.find(' ');
    auto last = line.rfind(' ');
    if (first == std::string_view::npos || first == last)
      return malformed("the request line is malformed");
    auto method = line.substr(0, first);
    auto target = origin_form(line.substr(first + 1, last - first - 1));
    auto version = line.substr(last + 1);
    if (line.size() + 2 > max_line)
      return refuse(414, "the request line is longer than 8 KiB");
    if (!is_token(method) || !is_target(target)
        || !version.starts_with("HTTP/"))
      return malformed("the request line is malformed");
    head_.method = method;
    head_.target = target;
    if (version != "HTTP/1.1" && version != "HTTP/1.0")
      return refuse(505, "only HTTP/1.1 and HTTP/1.0 are supported");
    if (std::find(known_methods.begin(), known_methods.end(), method)
        == known_methods.end())
      return refuse(501, "this method is unknown");
    old_version_ = version == "HTTP/1.0";
    return true;
  }

  bool read_field(std::string_view line) {
    if (line.size() + 2 > max_line || ++fields_ > max_headers)
      return refuse(431, "the request headers are too large");
    auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))
        || !is_field_value(line.substr(colon + 1)))
      return malformed("a header is malformed");
    auto name = line.substr(0, colon);
    auto value = trim(line.substr(colon + 1));
    auto is = [name](std::string_view other) {
      return equal_ignoring_case(name, other);
    };
    if (is("Content-Length") && !read_length(value))
      return false;
    if (is("Transfer-Encoding"))
      transfer_encoding_ = true;
    if (is("Content-Encoding"))
      content_encoding_ = true;
    if (is("Expect") && !read_expectation(value))
      return false;
    if (is("Connection") && list_has(value, "close"))
      head_.keep_alive = false;
    if (is("Accept-Encoding"))
      join(head_.accept_encoding, value);
    if (is("If-None-Match"))
      join(head_.if_none_match, value);
    if (is("Last-Event-ID"))
      head_.last_event_id = value;
    if (is("X-Request-Id") && is_request_id(value))
      head_.request_id = value;
    return true;
  }

  bool read_length(std::string_view value) {
    auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (has_length_ || value.empty()
        || !std::all_of(value.begin(), value.end(), digit))
      return malformed("Content-Length must be one number");
    has_length_ = true;
    for (auto c : value)
      if (head_.content_length <= max_body_)
        head_.content_length = head_.content_length * 10 + size_t(c - '0');
    return true;
  }

  bool read_expectation(std::string_view value) {
    if (!equal_ignoring_case(value, "100-continue"))
      return refuse(417, "this expectation is not supported");
    head_.expects_continue = true;
    return true;
  }

  /// Checks the rules that involve several headers.
  bool check() {
    if (transfer_encoding_ && has_length_)
      return malformed("Content-Length and Transfer-Encoding exclude each "
                       "other");
    if (transfer_encoding_)
      return refuse(411, "send the body with a Content-Length");
    if (content_encoding_)
      return refuse(415, "send the body without a Content-Encoding");
    auto& method = head_.method;
    auto with_body = method == "POST" || method == "PUT" || method == "PATCH";
    if (with_body && !has_length_)
      return refuse(411, "send the body with a Content-Length");
    if (head_.content_length > max_body_)
      return refuse(413, "the body is larger than " + std::to_string(max_body_)
                           + " bytes");
    if (old_version_) {
      head_.keep_alive = false;
      head_.expects_continue = false;
    }
    return true;
  }

  std::string_view rest_;
  size_t max_body_;
  request_head head_;
  std::optional<refusal> refused_;
  size_t fields_ = 0;
  bool old_version_ = false;
  bool has_length_ = false;
  bool transfer_encoding_ = false;
  bool content_encoding_ = false;
};

} // namespace

std::string_view request_head::path() const {
  std::string_view result{target};
  return result.substr(0, result.find('?'));
}

std::string_view request_head::query() const {
  std::string_view result{target};
  auto mark = result.find('?');
  return mark == std::string_view::npos ? std::string_view{}
                                        : result.substr(mark + 1);
}

std::optional<size_t> find_head_end(std::string_view bytes, size_t from) {
  // Bare line feeds also end a head here. The parser then refuses it.
  for (auto i = bytes.find('\n', from); i != std::string_view::npos;
       i = bytes.find('\n', i + 1)) {
    auto next = bytes.substr(i + 1, 2);
    if (next.starts_with('\n'))
      return i + 2;
    if (next == "\r\n")
      return i + 3;
  }
  return std::nullopt;
}

std::optional<refusal> check_partial_head(std::string_view bytes) {
  if (bytes.size() >= max_line && bytes.find('\n') >= max_line)
    return refusal{414, "the request line is longer than 8 KiB", {}};
  if (bytes.size() > max_head)
    return refusal{431, "the request headers are larger than 32 KiB", {}};
  return std::nullopt;
}

std::variant<request_head, refusal> parse_head(std::string_view head,
                                               size_t max_body) {
  if (auto refused = check_partial_head(head))
    return std::move(*refused);
  return head_parser{head, max_body}.parse();
}

} // namespace aiops::http
